//go:build unix

package sqlite

import (
	"errors"
	"os"
	"syscall"

	"github.com/oslcbus/oslcbus/oslc"
)

// lockFile takes an advisory lock that ends with the process, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, oslc.E("sqlite.lock", err, oslc.Unavailable)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, oslc.Errorf("sqlite.lock", oslc.Conflict,
				"%s is held: another process uses this data folder", path)
		}
		return nil, oslc.E("sqlite.lock", err, oslc.Unavailable)
	}
	return f, nil
}
