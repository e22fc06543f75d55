package keeper

import (
	"golang.org/x/sys/unix"

	"hoopy/kmsg"
)

// The cgroups that the keeper makes. Units live below svc, and only the
// process arm makes those.
const (
	cgroupRoot       = "/sys/fs/cgroup"
	cgroupKeeper     = cgroupRoot + "/keeper"
	cgroupSupervisor = cgroupRoot + "/supervisor"
	cgroupRescue     = cgroupRoot + "/rescue"
	cgroupServices   = cgroupRoot + "/svc"
)

// makeCgroups makes the tree and passes the controllers on, so that the
// supervisor can be born into its leaf. As long as no cgroup below the root
// holds a process this is quick; afterwards the kernel waits for a grace period
// before it changes what tasks are charged to, some 40 ms under TCG.
func (k *keeper) makeCgroups() {
	k.cgroups = true
	passOn(k.log, cgroupRoot)
	for _, dir := range [...]string{cgroupKeeper, cgroupSupervisor, cgroupRescue, cgroupServices} {
		if err := unix.Mkdir(dir, 0o755); err != nil && err != unix.EEXIST {
			k.log.Say(kmsg.Error, "cgroup ", dir, ": ", err.Error())
			k.cgroups = false
		}
	}
	passOn(k.log, cgroupServices)
	if err := writeFile(cgroupSupervisor+"/memory.min", "16777216"); err != nil {
		k.log.Say(kmsg.Debug, "cgroup ", cgroupSupervisor, ": memory.min: ", err.Error())
	}
}

// passOn lets the cgroups below dir use the controllers that the kernel has.
func passOn(log *kmsg.Log, dir string) {
	if writeFile(dir+"/cgroup.subtree_control", "+memory +pids +cpu +io") == nil {
		return
	}
	for _, c := range [...]string{"memory", "pids", "cpu", "io"} {
		// One by one: a controller that the kernel lacks must not cost the
		// others.
		if err := writeFile(dir+"/cgroup.subtree_control", "+"+c); err != nil {
			log.Say(kmsg.Debug, "cgroup ", dir, ": no ", c, ": ", err.Error())
		}
	}
}

// moveIn moves PID 1 into its leaf. That, too, waits for a grace period, so it
// is left until the boot is over. (The root of the hierarchy may hold processes
// and pass controllers on all the same: "no internal process constraint" in the
// kernel's Documentation/admin-guide/cgroup-v2.rst.)
func (k *keeper) moveIn() {
	if err := writeFile(cgroupKeeper+"/cgroup.procs", "0"); err != nil {
		k.log.Say(kmsg.Error, "cgroup ", cgroupKeeper, ": ", err.Error())
	}
}

// openCgroup is a descriptor for SysProcAttr.CgroupFD; -1 when there is none.
func (k *keeper) openCgroup(dir string) int {
	if !k.cgroups {
		return -1
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		k.log.Say(kmsg.Error, "cgroup ", dir, ": ", err.Error())
		return -1
	}
	return fd
}
