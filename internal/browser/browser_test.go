package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/adapters/sandbox"
	"github.com/oslcbus/oslcbus/internal/testkit"
)

// bus is a whole bus in this process with a sandbox StackStorm.
type bus struct {
	url string
	st2 *sandbox.StackStorm
}

func newBus(t *testing.T) *bus {
	t.Helper()
	st2, err := sandbox.NewStackStorm("")
	if err != nil {
		t.Fatal(err)
	}
	tool := httptest.NewServer(st2)
	t.Cleanup(tool.Close)
	cfg, err := oslcbus.ParseConfig("browser.yml", []byte("connections: {st2: {type: sandbox}}"), oslcbus.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{url: "http://" + ln.Addr().String(), st2: st2}
	cfg.Data, cfg.Listen, cfg.BaseURL = t.TempDir(), ln.Addr().String(), b.url
	engine, err := oslcbus.New(cfg, oslcbus.Options{
		Listener: ln,
		Adapters: adapters.Registry{"sandbox": func(decode func(any) error, opts adapters.Options) (adapters.Adapter, error) {
			if err := decode(&struct{}{}); err != nil {
				return adapters.Adapter{}, err
			}
			return sandbox.Adapter(st2, tool.URL, opts)
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the bus ended with %v", err)
		}
	})
	<-engine.Ready()
	return b
}

// post sends a body and returns the answer's Location.
func (b *bus) post(t *testing.T, path, turtle string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+path, strings.NewReader(prefixes+turtle))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/turtle")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("POST %s: %s: %s", path, resp.Status, body)
	}
	return resp.Header.Get("Location")
}

const (
	rulesPath  = "/services/st2/changeRequests"
	dialogPath = "/services/st2/dialogs/changeRequests"
	prefixes   = "@prefix dcterms: <http://purl.org/dc/terms/> . @prefix oslc_cm: <http://open-services.net/ns/cm#> . @prefix st2: <https://oslcbus.github.io/ns/st2#> .\n"
)

func rule(title string) string {
	return `<> a oslc_cm:ChangeRequest ; dcterms:title "` + title + `" ; st2:triggerType "core.st2.CronTimer" ; st2:actionRef "core.noop" .`
}

// around serves the page of another tool that shows what frame asks for, and keeps
// what it is told.
func around(t *testing.T, frame, name string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/back" {
			_, _ = io.WriteString(w, `<!DOCTYPE html><html lang="en"><title>back</title>`)
			return
		}
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintf(w, `<!DOCTYPE html><html lang="en"><title>another tool</title><link rel="icon" href="data:,">
<script>
window.told = [];
window.addEventListener("message", function (e) { window.told.push({origin: e.origin, data: e.data}); });
</script>
<iframe name=%q src=%q width="600" height="700"></iframe>`, strings.ReplaceAll(name, "SELF", "http://"+r.Host), frame)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// page is a tab of a browser.
type page struct {
	t     *testing.T
	ctx   context.Context
	inner *chromedp.Node // the frame
	mu    sync.Mutex
	bad   []string // what the browser complains of
}

// open starts a browser and opens the address.
func open(t *testing.T, url string) *page {
	t.Helper()
	path := testkit.Chromium(t)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(60*time.Second),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true))
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	p := &page{t: t, ctx: ctx}
	p.do("start the browser", chromedp.Navigate("about:blank"))
	p.ctx, cancel = context.WithTimeout(ctx, 2*time.Minute) // a bound, not an expectation
	t.Cleanup(cancel)
	if err := chromedp.Listen(p.ctx, func(ev any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch e := ev.(type) {
		case *log.EventEntryAdded:
			p.bad = append(p.bad, fmt.Sprintf("%s: %s", e.Entry.Level, e.Entry.Text))
		case *runtime.EventExceptionThrown:
			p.bad = append(p.bad, e.ExceptionDetails.Text)
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.do("open "+url, chromedp.Navigate(url))
	return p
}

func (p *page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v; the browser says %q", what, err, p.complaints())
	}
}

// get runs an action that answers.
func get[T any](p *page, what string, action chromedp.Action[T]) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, action)
	if err != nil {
		p.t.Fatalf("%s: %v; the browser says %q", what, err, p.complaints())
	}
	return v
}

func (p *page) complaints() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.bad...)
}

// frame returns how to look into the frame, once it has an element that fits sel. A
// frame that went to another page is looked for again.
func (p *page) frame(sel string) chromedp.QueryOption {
	p.t.Helper()
	for {
		p.inner = get(p, "find the frame", chromedp.Nodes(chromedp.CSS("iframe")))[0]
		in := chromedp.FromNode(p.inner)
		ctx, cancel := context.WithTimeout(p.ctx, 300*time.Millisecond)
		err := chromedp.Do(ctx, chromedp.WaitReady(chromedp.CSS(sel), in))
		cancel()
		if err == nil {
			return in
		}
		if p.ctx.Err() != nil {
			p.t.Fatalf("waited in vain for %s: %v; the browser says %q", sel, err, p.complaints())
		}
	}
}

type message struct{ Origin, Data string }

// told waits for a message that begins with prefix and returns the rest of it.
func (p *page) told(prefix string) string {
	p.t.Helper()
	expr := fmt.Sprintf(`window.told.find(m => typeof m.data === "string" && m.data.startsWith(%q))`, prefix)
	msg := get(p, "wait for a message "+prefix, chromedp.Poll[message](expr, chromedp.WithPollingTimeout(0)))
	return strings.TrimPrefix(msg.Data, prefix)
}

type results struct {
	Results []struct {
		Label    string `json:"oslc:label"`
		Resource string `json:"rdf:resource"`
	} `json:"oslc:results"`
}

func (p *page) results(text string) results {
	p.t.Helper()
	var r results
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		p.t.Fatalf("%v in the result %q", err, text)
	}
	return r
}

// fine checks what every page must keep to: nothing that the policy forbids, no
// error of a script, and a name for each control.
func (p *page) fine() {
	p.t.Helper()
	if bad := p.complaints(); len(bad) > 0 {
		p.t.Errorf("the browser complains: %q", bad)
	}
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{FrameID: p.inner.FrameID})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, n := range tree.Nodes {
		switch role := value(n.Role); role {
		case "textbox", "searchbox", "checkbox", "button", "combobox", "link", "RootWebArea":
			if value(n.Name) == "" && !n.Ignored {
				p.t.Errorf("a %s has no name that can be read aloud", role)
			}
		}
	}
	if len(tree.Nodes) < 5 {
		p.t.Errorf("the page has %d nodes: it was not looked at", len(tree.Nodes))
	}
}

func value(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	_ = json.Unmarshal(v.Value, &s) // other values than text have no name
	return s
}

const response = "oslc-response:"

// TestSelection: one resource is searched for, chosen, and told by postMessage.
func TestSelection(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	uri := b.post(t, rulesPath, rule(`one <b>& \"two\"`))
	b.post(t, rulesPath, rule("another"))
	p := open(t, around(t, b.url+dialogPath+"/selection/page", ""))
	in := p.frame("#pick input")
	p.fine()
	p.do("choose nothing", chromedp.Click(chromedp.CSS("#ok"), in), chromedp.WaitVisible(chromedp.CSS("#none"), in))
	p.do("choose", chromedp.Click(chromedp.CSS(`input[value="`+uri+`"]`), in), chromedp.Click(chromedp.CSS("#ok"), in))
	got := p.results(p.told(response))
	if len(got.Results) != 1 || got.Results[0].Resource != uri || got.Results[0].Label != `one <b>& "two"` {
		t.Errorf("the result is %+v, want <%s>", got, uri)
	}
	if h := p.told("oslc-resize:"); !strings.Contains(h, `"oslc:hintHeight":"`) || !strings.Contains(h, `px"`) {
		t.Errorf("the size is told as %q", h)
	}
}

// TestCancel: a dialog that is left says so (DD-16).
func TestCancel(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	for _, dialog := range []string{"selection", "creation"} {
		p := open(t, around(t, b.url+dialogPath+"/"+dialog+"/page#oslc-core-postMessage-1.0", ""))
		in := p.frame("#cancel")
		p.fine()
		p.do("cancel", chromedp.Click(chromedp.CSS("#cancel"), in))
		if got := p.told(response); got != `{"oslc:results":[]}` {
			t.Errorf("%s: leaving it is told as %q", dialog, got)
		}
	}
}

// TestCreation: a form makes a resource; what the tool refuses is told in the form,
// with what was filled in.
func TestCreation(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	p := open(t, around(t, b.url+dialogPath+"/creation/page", ""))
	in := p.frame("#title")
	p.fine()
	p.do("fill in",
		chromedp.SendKeys(chromedp.CSS("#title"), "by hand", in),
		chromedp.SendKeys(chromedp.CSS("#triggerType"), "core.st2.webhook", in),
		chromedp.SendKeys(chromedp.CSS("#actionRef"), "core.local", in),
		chromedp.Click(chromedp.CSS("#ok"), in))
	in = p.frame("#error")
	fault := get(p, "read the fault", chromedp.Text(chromedp.CSS("#error"), in))
	title := get(p, "read the title", chromedp.Value(chromedp.CSS("#title"), in))
	if !strings.Contains(fault, "'url' is a required property") || title != "by hand" {
		t.Errorf("the form says %q, and its title is %q", fault, title)
	}
	p.do("fill in the rest",
		chromedp.SendKeys(chromedp.CSS("#triggerParameters"), `{"url": "x"}`, in),
		chromedp.Click(chromedp.CSS("#ok"), in))
	got := p.results(p.told(response))
	rules := b.st2.Rules()
	if len(got.Results) != 1 || len(rules) != 1 || got.Results[0].Resource != b.url+rulesPath+"/"+fmt.Sprint(rules[0]["id"]) || got.Results[0].Label != "by hand" {
		t.Errorf("the result is %+v, and StackStorm has %v", got, rules)
	}
	if rules[0]["enabled"] != true {
		t.Error("the box that was checked from the start made a rule that is off")
	}
}

// TestRequest: an action is chosen, filled in and asked for; what is missing is told in
// the form.
func TestRequest(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	uri := b.post(t, rulesPath, rule("to be disabled"))
	p := open(t, around(t, b.url+"/services/bus/dialogs/requests/creation/page", ""))
	in := p.frame("#action")
	p.fine()
	p.do("choose", chromedp.SetValue(chromedp.CSS("#action"), "st2/disable-rule", in), chromedp.Click(chromedp.CSS("#ok"), in))
	in = p.frame("#target")
	p.fine()
	p.do("fill in", chromedp.SendKeys(chromedp.CSS("#target"), "no URI", in), chromedp.Click(chromedp.CSS("#ok"), in))
	in = p.frame("#error")
	if fault := get(p, "read the fault", chromedp.Text(chromedp.CSS("#error"), in)); !strings.Contains(fault, "no URI") {
		t.Errorf("the form says %q", fault)
	}
	p.do("fill in", chromedp.SetValue(chromedp.CSS("#target"), uri, in), chromedp.Click(chromedp.CSS("#ok"), in))
	got := p.results(p.told(response))
	if len(got.Results) != 1 || !strings.HasPrefix(got.Results[0].Resource, b.url+"/services/bus/requests/") {
		t.Fatalf("the result is %+v", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/turtle")
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || t.Context().Err() != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "st2:ruleStatus false") {
			break
		}
	}
}

// TestPrefill: what a client posts is in the form (DD-22 to 28).
func TestPrefill(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	page := b.post(t, dialogPath+"/creation", `<> a oslc_cm:ChangeRequest ; dcterms:title "R&D <1>" ; st2:ruleStatus false .`)
	p := open(t, around(t, page, ""))
	in := p.frame("#title")
	title := get(p, "read the title", chromedp.Value(chromedp.CSS("#title"), in))
	p.do("look at the box", chromedp.WaitReady(chromedp.CSS(`input[name=ruleStatus]:not(:checked)`), in))
	if title != "R&D <1>" {
		t.Errorf("the title is %q", title)
	}
	p.fine()
}

// TestWindowName: the older protocol, over the requests of a form.
func TestWindowName(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	b.post(t, rulesPath, rule("one"))
	p := open(t, around(t, b.url+dialogPath+"/selection/page#oslc-core-windowName-1.0", "SELF/back"))
	in := p.frame("#terms")
	p.do("list anew", chromedp.Submit(chromedp.CSS("#terms"), in))
	in = p.frame(`body[data-protocol="#oslc-core-windowName-1.0"] #pick input`)
	p.do("choose", chromedp.Click(chromedp.CSS("#pick input"), in), chromedp.Click(chromedp.CSS("#ok"), in))
	// Back on a page of its own, the page around may read the name.
	const name = `(function () { try { return document.querySelector("iframe").contentWindow.name } catch (e) { return "" } })()`
	text := get(p, "wait for the name", chromedp.Poll[string](name+`.startsWith("oslc-response:") && `+name, chromedp.WithPollingTimeout(0)))
	got := p.results(strings.TrimPrefix(text, response))
	if len(got.Results) != 1 || got.Results[0].Label != "one" {
		t.Errorf("the name says %q", text)
	}
	told := get(p, "count the messages", chromedp.Evaluate[int](`window.told.filter(m => String(m.data).startsWith("oslc-response:")).length`))
	if told != 0 {
		t.Error("the result is told by a message as well")
	}
}

// TestPreviews: they show in a frame, say how high they are, and run nothing that a
// title holds.
func TestPreviews(t *testing.T) {
	testkit.Chromium(t)
	b := newBus(t)
	uri := b.post(t, rulesPath, rule(`<img src=x onerror=\"parent.postMessage('run','*')\"> & more`))
	for _, size := range []string{"small", "large"} {
		p := open(t, around(t, uri+"/preview/"+size, ""))
		in := p.frame("dl dd")
		title := get(p, "read the title", chromedp.Text(chromedp.CSS("h1"), in))
		if !strings.HasPrefix(title, "<img src=x") || !strings.HasSuffix(title, "& more") {
			t.Errorf("%s: the title is %q", size, title)
		}
		if h := p.told("oslc-resize:"); !strings.Contains(h, "px") {
			t.Errorf("%s: the size is told as %q", size, h)
		}
		p.fine()
	}
}
