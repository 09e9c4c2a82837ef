# SPDX-License-Identifier: MIT
# The test's ~/.vagrant.d/Vagrantfile, merged by Vagrant before the project's own: what this machine needs so that an
# ordinary user without KVM, network rights or a running libvirt can bring the VM up. Set by world.py:
#   LABTEST_DRIVER     kvm or qemu (TCG)
#   LABTEST_SSH_PORT   where the guest's port 22 is to appear on this machine
#   LABTEST_CA         a file of certificate authorities that this machine trusts beyond Debian's
#   LABTEST_PIP        the guest's pip.conf
require "open3"

ssh_port = Integer(ENV.fetch("LABTEST_SSH_PORT"))

Vagrant.configure("2") do |config|
  config.ssh.host = "127.0.0.1"
  config.ssh.port = ssh_port
  config.ssh.insert_key = false
  # The only network of the guest. The MAC is fixed because it is looked up through the guest agent.
  config.vm.network "public_network", type: "user", mac: "525400123456", auto_config: false
  config.vm.boot_timeout = 1800
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
    # TCG's own CPU: the least that libvirt would choose has no AVX, which polars needs.
    machine.cpu_mode = "maximum" if machine.driver == "qemu"
  end

  # User networking lets nobody in; open one port for ssh as soon as the guest runs.
  config.trigger.after :"VagrantPlugins::ProviderLibvirt::Action::StartDomain", type: :action do |trigger|
    trigger.ruby do |_env, machine|
      forward = "hostfwd_add hostua-net-0 tcp:127.0.0.1:#{ssh_port}-:22"
      said, status = Open3.capture2e("virsh", "-c", "qemu:///session", "qemu-monitor-command", "--hmp", machine.id, forward)
      raise "ssh to the guest: #{said}" unless status.success? && said.strip.empty?
    end
  end

  unless ENV["LABTEST_CA"].to_s.empty?
    config.vm.provision "authorities", type: "file", source: ENV["LABTEST_CA"], destination: "/tmp/lab-test.crt"
    config.vm.provision "trust", type: "shell", inline: <<~SHELL
      cmp -s /tmp/lab-test.crt /usr/local/share/lab-test.crt && exit
      install -m 644 /tmp/lab-test.crt /usr/local/share/
      cat /usr/local/share/lab-test.crt >>/etc/ssl/certs/ca-certificates.crt
    SHELL
  end
  config.vm.provision "pip", type: "shell", env: { CONF: ENV.fetch("LABTEST_PIP") }, inline: %q(printf '%s\n' "$CONF" >/etc/pip.conf)
end
