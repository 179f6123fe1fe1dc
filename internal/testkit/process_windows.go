package testkit

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// PauseProcess cannot be had: Windows has no signal that stops a process.
func PauseProcess(int) error { return errors.ErrUnsupported }

// ResumeProcess cannot be had either.
func ResumeProcess(int) error { return errors.ErrUnsupported }

// alive reports whether there is such a process.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	_ = p.Release() // of a handle that was only asked for
	return true
}

// Usage returns the processor time that this process has taken; its largest
// memory is unknown, which zero says.
func Usage() (cpu time.Duration, peak int64) {
	h, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, 0
	}
	var created, ended, kernel, user syscall.Filetime
	if syscall.GetProcessTimes(h, &created, &ended, &kernel, &user) != nil {
		return 0, 0
	}
	return time.Duration(ticks(kernel)+ticks(user)) * 100, 0
}

// ticks counts the 100 ns of a span of time.
func ticks(t syscall.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
