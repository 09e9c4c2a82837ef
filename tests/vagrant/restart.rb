# SPDX-License-Identifier: MIT
# restart.rb FOLDER: Vagrant's own index of machines, with the entry left locked as by a thread that was killed,
# before the restart and in it. The restart is made all the same, and the entry is free after it.
$LOAD_PATH.unshift(*Dir["/usr/share/rubygems-integration/all/gems/vagrant-*/lib"])
require "vagrant"
require_relative "../../kernel/provision/restart"

INDEX = Vagrant::MachineIndex.new(Pathname(ARGV.fetch(0)))
fresh = Vagrant::MachineIndex::Entry.new
fresh.local_data_path = Pathname(ARGV.fetch(0))
entry = INDEX.set(fresh)
INDEX.release(entry)
ID = entry.id

# What the provisioner asks of a machine.
class Machine
  def env = Struct.new(:machine_index).new(INDEX)
  def index_uuid = ID
  def communicate = Struct.new(:it) { def test(_command) = true }.new
  def ui = Struct.new(:it) { def info(text) = puts(text) }.new

  def action(name, **options)
    INDEX.get(ID)
    puts "#{name} #{options}"
  end
end

INDEX.get(ID)
begin
  INDEX.get(ID)
  abort "Vagrant's index takes no lock any more"
rescue Vagrant::Errors::MachineLocked
end
UmcgLab::Restart.new(Machine.new, nil).provision
INDEX.get(ID)
puts "free"
