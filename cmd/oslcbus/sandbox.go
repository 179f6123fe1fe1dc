package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/oslc"
)

// standIn serves one sandbox tool by itself, for trying out a configuration.
func standIn(ctx context.Context, p *program, args []string) error {
	f := flags(p, "sandbox")
	listen := f.String("listen", "127.0.0.1:0", "`address` to listen on")
	data := f.String("data", "", "`folder` to keep its state in; without one nothing is kept")
	project := f.String("project", "DEMO", "jira: `key` of its project")
	if err := parse(f, args, "jira|stackstorm"); err != nil {
		return err
	}
	var h http.Handler
	var err error
	switch f.Arg(0) {
	case "jira":
		h, err = sandbox.NewJira(*data, *project)
	case "stackstorm":
		h, err = sandbox.NewStackStorm(*data)
	default:
		err = oslc.Errorf("sandbox", oslc.Invalid, "there is no stand-in of %q; there are jira and stackstorm", f.Arg(0))
	}
	if err != nil {
		return err
	}
	ln, err := bind(ctx, *listen)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	fmt.Fprintf(p.out, "%s: http://%s\n", f.Arg(0), ln.Addr())
	select {
	case err := <-done:
		return oslc.E("sandbox", err, oslc.Unavailable)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(srv.Shutdown(last), srv.Close())
}
