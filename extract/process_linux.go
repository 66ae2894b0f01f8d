package extract

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// isolate puts the child into a process group of its own and has the kernel
// kill it when the thread that starts it ends.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// confine takes from a child what reading documents does not need: writing
// files, dumping core, opening many files, more address space than it may have.
func confine(pid int, addressSpace int64) error {
	for _, l := range []struct {
		resource int
		most     uint64
	}{
		{unix.RLIMIT_AS, uint64(addressSpace)},
		{unix.RLIMIT_CORE, 0},
		{unix.RLIMIT_FSIZE, 0},
		{unix.RLIMIT_NOFILE, 64},
	} {
		var old unix.Rlimit
		if err := unix.Prlimit(pid, l.resource, nil, &old); err != nil {
			return fmt.Errorf("read limit %d: %w", l.resource, err)
		}
		most := min(l.most, old.Max)
		if err := unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: most, Max: most}, nil); err != nil {
			return fmt.Errorf("set limit %d: %w", l.resource, err)
		}
	}
	return nil
}

// renice lowers the priority of every thread of the child's group; by process
// it would reach the first thread only.
func renice(pid, nice int) error {
	return unix.Setpriority(unix.PRIO_PGRP, pid, nice)
}

// killGroup kills the child and whatever it started.
func killGroup(pid int) { _ = unix.Kill(-pid, unix.SIGKILL) }

// usage is what a process has taken so far.
type usage struct {
	rss int64 // bytes, now
	cpu time.Duration
}

// clockTick is the kernel's USER_HZ, in which /proc counts processor time: 100
// on every Linux that Go runs on.
const clockTick = time.Second / 100

// usageOf reads /proc/PID/stat; ok is false when the process is gone.
func usageOf(pid int) (u usage, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return usage{}, false
	}
	// The second field is the program's name in parentheses and may hold
	// anything; what follows the last one is numbers.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	const utime, stime, rss = 11, 12, 21
	if len(fields) <= rss {
		return usage{}, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(string(fields[i]), 10, 64)
		return n
	}
	return usage{
		rss: number(rss) * int64(os.Getpagesize()),
		cpu: time.Duration(number(utime)+number(stime)) * clockTick,
	}, true
}

// bloated reports whether a process keeps so much memory that too little of the
// limit would be left for the next document.
func bloated(pid int, limit int64) bool {
	u, ok := usageOf(pid)
	return ok && u.rss > limit/2
}

// peakRSS is the most resident memory that a finished process ever had, in bytes.
func peakRSS(s *os.ProcessState) int64 {
	if ru, ok := s.SysUsage().(*syscall.Rusage); ok {
		return ru.Maxrss << 10
	}
	return 0
}
