package webhook

import (
	"context"
	"net"
)

// Dial connects as deliveries do.
func Dial(ctx context.Context, s *Sender, address string) (net.Conn, error) {
	return s.dial(ctx, "tcp", address)
}
