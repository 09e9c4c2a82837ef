# SPDX-License-Identifier: MIT
# A Vagrant provisioner: restart the machine if one before it has asked for that (/run/reboot-required).
#
# Not the shell provisioner's `reboot: true`: that restarts at every `vagrant provision`, needed or not, and
# leaves the guest without Vagrant's knowledge, so that with libvirt the forwarded port does not work any more.
module UmcgLab
  class Restart < Vagrant.plugin("2", :provisioner)
    def provision
      return unless @machine.communicate.test("test -e /run/reboot-required")
      @machine.ui.info("UMCG Lab: restarting the machine into the patched kernel")
      give_back
      # We are inside an action that holds the machine's lock; provisioners are ours to run, not its.
      @machine.action(:reload, lock: false, provision_enabled: false)
      give_back
    end

    private

    # Vagrant looks at the state of a machine that boots in a thread of its own, and then kills that thread. If that
    # comes while it has the machine's entry in Vagrant's index, this process keeps the entry locked for good, and
    # the next look at the state says that another Vagrant has it. What another process has locked stays locked.
    def give_back
      @machine.env.machine_index.release(Vagrant::MachineIndex::Entry.new(@machine.index_uuid))
    end
  end

  class Plugin < Vagrant.plugin("2")
    name "umcg-lab"
    provisioner(:umcg_restart) { Restart }
  end
end
