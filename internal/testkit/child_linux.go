package testkit

import (
	"os/exec"
	"syscall"
)

// EndWithTest has the command killed when this process dies, however that
// happens. Call it before the command starts.
func EndWithTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
