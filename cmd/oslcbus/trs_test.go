package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/trs"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

func TestTRSVerify(t *testing.T) {
	t.Parallel()
	verify := func(args ...string) (code int, out, errs string) {
		var o, e bytes.Buffer
		code = run(t.Context(), &program{nil, &o, &e}, append([]string{"trs"}, args...))
		return code, o.String(), e.String()
	}
	f := trstest.NewFeed(t, 10)
	if code, out, errs := verify("verify", f.URI()); code != exitOK || !strings.Contains(out, "13 events in 4 segments") || errs != "" {
		t.Errorf("a good set: exit code %d, %s%s", code, out, errs)
	}
	if code, out, _ := verify("verify", "-level", "should", f.URI()); code != exitFailed || !strings.Contains(out, "S32 should") {
		t.Errorf("its errors are no RDF, which should be: exit code %d, %s", code, out)
	}
	f.Vanish("/r/4")
	code, out, _ := verify("verify", "-o", "json", f.URI())
	var report trs.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err, out)
	}
	if found := report.Failed("must"); code != exitFailed || len(found) != 1 || found[0].Check != "S20" || found[0].URI != f.URL+"/r/4" {
		t.Errorf("a deletion that is not told: exit code %d, %+v", code, report)
	}
	if code, out, _ := verify("verify", "-resources", "0", f.URI()); code != exitOK || !strings.Contains(out, " 0 resources read") {
		t.Errorf("without resources: exit code %d, %s", code, out)
	}
	f.Happen(oslc.Creation, "/r/a")
	f.Close()
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, exitInvalid},
		{[]string{"repeal"}, exitInvalid},
		{[]string{"verify"}, exitInvalid},
		{[]string{"verify", "-level", "may", f.URI()}, exitInvalid},
		{[]string{"verify", "-token-file", "/no/such/file", f.URI()}, exitInvalid},
		{[]string{"verify", "no address"}, exitInvalid},
		{[]string{"verify", f.URI()}, exitUnavailable},
	} {
		if code, _, errs := verify(c.args...); code != c.want || errs == "" {
			t.Errorf("%q: exit code %d, want %d; %s", c.args, code, c.want, errs)
		}
	}
}

func TestStageLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		done, total int
		want        string
	}{
		{7, 0, "resources: 7"},
		{0, 10, "resources [                              ] 0 of 10"},
		{5, 10, "resources [===============               ] 5 of 10"},
		{10, 10, "resources [==============================] 10 of 10"},
	} {
		if got := stageLine("resources", c.done, c.total); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
