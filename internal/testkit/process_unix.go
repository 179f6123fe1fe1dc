//go:build unix

package testkit

import (
	"runtime"
	"syscall"
	"time"
)

// PauseProcess stops a process with SIGSTOP: it is there and does nothing.
func PauseProcess(pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) }

// ResumeProcess lets a paused process go on.
func ResumeProcess(pid int) error { return syscall.Kill(pid, syscall.SIGCONT) }

// alive reports whether there is such a process.
func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

// Usage returns the processor time that this process has taken, and its largest
// resident memory in bytes; zero is unknown.
func Usage() (cpu time.Duration, peak int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	peak = u.Maxrss
	if runtime.GOOS != "darwin" { // which counts bytes, where others count KiB
		peak *= 1024
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), peak
}
