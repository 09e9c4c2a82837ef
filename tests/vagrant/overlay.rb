# SPDX-License-Identifier: MIT
# The test's ~/.vagrant.d/Vagrantfile, merged by Vagrant before the project's own: what this machine needs so that an
# ordinary user without KVM, network rights or a running libvirt can bring the VM up. Set by world.py:
#   LABTEST_DRIVER     kvm or qemu (TCG)
#   LABTEST_SSH_PORT   where the guest's port 22 is to appear on this machine
#   LABTEST_INDEX      the address of a package index for the guest
require "open3"

ssh_port = Integer(ENV.fetch("LABTEST_SSH_PORT"))

Vagrant.configure("2") do |config|
  config.ssh.host = "127.0.0.1"
  config.ssh.port = ssh_port
  config.ssh.insert_key = false
  # The only network of the guest. The MAC is fixed because it is looked up through the guest agent.
  config.vm.network "public_network", type: "user", mac: "525400123456", auto_config: false
  config.vm.boot_timeout = 900
  config.vm.provider "libvirt" do |machine|
    machine.driver = ENV.fetch("LABTEST_DRIVER")
    machine.default_prefix = "lab-"
    machine.qemu_use_session = true
    machine.system_uri = "qemu:///session"
    machine.mgmt_attach = false
    machine.qemu_use_agent = true
    machine.graphics_type = "none"
    machine.video_type = "none"
    machine.disk_driver cache: "unsafe"
    # Without KVM: a model without AVX, as QEMU 7.2 gets AVX2 wrong (gather with its index in ymm4).
    if machine.driver == "qemu"
      machine.cpu_mode = "custom"
      machine.cpu_model = "Nehalem"
    end
  end

  # User networking lets nobody in; open one port for ssh as soon as the guest runs.
  config.trigger.after :"VagrantPlugins::ProviderLibvirt::Action::StartDomain", type: :action do |trigger|
    trigger.ruby do |_env, machine|
      forward = "hostfwd_add hostua-net-0 tcp:127.0.0.1:#{ssh_port}-:22"
      said, status = Open3.capture2e("virsh", "-c", "qemu:///session", "qemu-monitor-command", "--hmp", machine.id, forward)
      raise "ssh to the guest: #{said}" unless status.success? && said.strip.empty?
    end
  end

  # Compiling thousands of files that nobody imports takes minutes under TCG.
  config.vm.provision "index", type: "shell", env: { INDEX: ENV.fetch("LABTEST_INDEX") }, inline: <<~SHELL
    [ ! -e /etc/uv/uv.toml ] || exit 0
    host=${INDEX#http://} host=${host%%:*}
    printf '[global]\nindex-url = %s\ntrusted-host = %s\n[install]\nno-compile = true\n' $INDEX $host >/etc/pip.conf
    mkdir -p /etc/uv
    printf 'index-url = "%s"\nallow-insecure-host = ["%s"]\n' $INDEX $host >/etc/uv/uv.toml
  SHELL
end
