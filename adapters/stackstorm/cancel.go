package stackstorm

import (
	"context"
	"net/http"
	"net/url"
	"sync"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// runs are the requests to run an action that are being carried out.
type runs struct {
	mu sync.Mutex
	of map[string]*run // by id of the request
}

// run is one of them.
type run struct {
	execution string // its id, empty while there is none
	cancel    bool   // wanted while there was none
}

func (rs *runs) begin(request string) *run {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.of == nil {
		rs.of = map[string]*run{}
	}
	r := &run{}
	rs.of[request] = r
	return r
}

func (rs *runs) end(request string) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(rs.of, request)
}

func (rs *runs) canceled(r *run) bool {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	return r.cancel
}

// began notes which execution it is, and reports whether that is to be stopped.
func (rs *runs) began(r *run, execution string) (cancel bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.execution = execution
	return r.cancel
}

// cancel returns the execution that belongs to a request. Where there is none yet, the
// run stops by itself before or after it has begun one; known says that there is a run.
func (rs *runs) cancel(request string) (execution string, known bool) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.of[request]
	if r == nil {
		return "", false
	}
	r.cancel = r.execution == ""
	return r.execution, true
}

// Cancel implements adapters.Canceler: an execution can be stopped. What is done to a
// rule is one call, which is over before it could be.
func (x *Executor) Cancel(ctx context.Context, r oslc.Request) (begun bool, err error) {
	const op = "stackstorm.cancel"
	if r.Action != vocab.St2RunAction {
		return false, oslc.Errorf(op, oslc.Unsupported, "a change of a rule cannot be stopped")
	}
	id, known := x.runs.cancel(r.ID)
	if !known {
		action, _ := r.Parameters["action"].(string)
		execution, err := x.earlier(ctx, r, action)
		if err != nil || execution == nil {
			return false, oslc.E(op, err)
		}
		id, _ = execution["id"].(string)
		if ended(execution["status"]) {
			return true, oslc.Errorf(op, oslc.Conflict, "execution %s has ended: %v", id, execution["status"])
		}
	}
	if id == "" {
		return true, nil
	}
	return true, oslc.E(op, x.stop(ctx, id))
}

// stop has an execution canceled. StackStorm answers for one that has ended with a
// success that says so in faultstring.
func (x *Executor) stop(ctx context.Context, id string) error {
	answer, err := x.api.call(ctx, http.MethodDelete, "/executions/"+url.PathEscape(id), nil)
	if err != nil {
		return err
	}
	if fault, ok := answer["faultstring"].(string); ok && fault != "" {
		return oslc.Errorf("stackstorm.stop", oslc.Conflict, "%s", fault)
	}
	return nil
}
