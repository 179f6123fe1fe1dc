package oslcbus_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/adapters/mongodb/mongotest"
	"github.com/oslcbus/oslcbus/internal/testkit"
	"github.com/oslcbus/oslcbus/trs/trstest"
)

// composeProject loads docker-compose.yml as docker compose does: schema,
// variables, references between its parts.
func composeProject(t *testing.T) *types.Project {
	t.Helper()
	root := testkit.Root(t)
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  root,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(root, "docker-compose.yml")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// composeEnv returns the environment of a service.
func composeEnv(t *testing.T, p *types.Project, service string) map[string]string {
	t.Helper()
	env := map[string]string{}
	for k, v := range p.Services[service].Environment {
		if v == nil {
			t.Errorf("%s takes %s from whoever runs compose", service, k)
			continue
		}
		env[k] = *v
	}
	return env
}

// composeConfig returns the text of deployments/compose.yml with the token's
// file where it is.
func composeConfig(t *testing.T, token string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testkit.Root(t), "deployments", "compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	const inVolume = "/var/lib/oslcbus/token"
	if !strings.Contains(string(b), inVolume) {
		t.Fatalf("deployments/compose.yml does not name %s", inVolume)
	}
	return strings.ReplaceAll(string(b), inVolume, token)
}

func TestX3_Compose(t *testing.T) {
	t.Parallel()
	p := composeProject(t)
	want := map[string]string{
		"mongodb": types.ServiceConditionHealthy,
		"kafka":   types.ServiceConditionHealthy,
		"jira":    types.ServiceConditionHealthy,
		"token":   types.ServiceConditionCompletedSuccessfully,
	}
	deps := p.Services["bus"].DependsOn
	for name, condition := range want {
		if got := deps[name].Condition; got != condition {
			t.Errorf("the bus waits for %s to be %q, want %q", name, got, condition)
		}
	}
	for name, s := range p.Services {
		if check := s.HealthCheck; name != "token" && (check == nil || len(check.Test) < 2 || check.Test[0] != "CMD") {
			t.Errorf("%s has no health check", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
	// What must survive its container is in a volume.
	for name, dir := range map[string]string{
		"mongodb": "/data/db",
		"kafka":   composeEnv(t, p, "kafka")["KAFKA_LOG_DIRS"],
		"jira":    flagOf(p.Services["jira"].Command, "-data"),
		"token":   filepath.Dir(flagOf(p.Services["token"].Command, "-file")),
		"bus":     "/var/lib/oslcbus",
	} {
		if !slices.ContainsFunc(p.Services[name].Volumes, func(v types.ServiceVolumeConfig) bool {
			return v.Type == types.VolumeTypeVolume && v.Target == dir
		}) {
			t.Errorf("%s keeps its data in %q, which is no volume", name, dir)
		}
	}
	token := filepath.Join(t.TempDir(), "token")
	secret, _ := oslcbus.NewToken()
	if err := oslcbus.WriteSecret(token, secret); err != nil {
		t.Fatal(err)
	}
	env := composeEnv(t, p, "bus")
	used := map[string]bool{}
	cfg, err := oslcbus.ParseConfig("compose.yml", []byte(composeConfig(t, token)), oslcbus.ConfigOptions{
		Getenv: func(name string) (string, bool) { used[name] = true; v, ok := env[name]; return v, ok },
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Data != "/var/lib/oslcbus" {
		t.Errorf("data is in %q, the volume is elsewhere", cfg.Data)
	}
	for name := range env {
		if !used[name] {
			t.Errorf("the variable %s is for nothing", name)
		}
	}
	if _, err := oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()}); err != nil {
		t.Error(err)
	}
	t.Run("docker compose config", func(t *testing.T) {
		if out, err := exec.CommandContext(t.Context(), "docker", "compose", "version").CombinedOutput(); err != nil {
			t.Skipf("docker has no compose plugin here, install it to run this test: %v %s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), "docker", "compose", "config", "--quiet")
		cmd.Dir = testkit.Root(t)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// flagOf returns the word after a flag.
func flagOf(argv []string, flag string) string {
	if i := slices.Index(argv, flag); i >= 0 && i+1 < len(argv) {
		return argv[i+1]
	}
	return ""
}

// replicaSet is the document that the health check of MongoDB gives to
// rs.initiate: a literal of JavaScript that YAML reads too.
var replicaSet = regexp.MustCompile(`rs\.initiate\((\{.*\})\)`)

// TestX3_ComposeCommands runs what docker-compose.yml runs, with its environment,
// without containers: the addresses and folders are others.
func TestX3_ComposeCommands(t *testing.T) {
	t.Parallel()
	p := composeProject(t)
	broker := testkit.KafkaImage(t, "kafka", composeEnv(t, p, "kafka"))
	mongo := testkit.MongoCommand(t, p.Services["mongodb"].Command...)
	var set struct {
		ID      string `yaml:"_id"`
		Members []struct {
			ID   int `yaml:"_id"`
			Host string
		}
	}
	literal := replicaSet.FindStringSubmatch(strings.Join(p.Services["mongodb"].HealthCheck.Test, " "))
	if literal == nil || yaml.Unmarshal([]byte(literal[1]), &set) != nil || len(set.Members) != 1 {
		t.Fatalf("the health check of mongodb initiates no replica set of one member: %q", literal)
	}
	testkit.MongoInitiate(t, mongo, set.ID, strings.ReplaceAll(set.Members[0].Host, "mongodb:27017", mongo))

	dir, binary := t.TempDir(), build(t, "./cmd/oslcbus")
	token := filepath.Join(dir, "token")
	jiraDir := t.TempDir()
	jira := start(t, nil, binary, replaced(t, p.Services["jira"].Command, "-listen", "127.0.0.1:0", "-data", jiraDir)...)
	_, jiraURL, ok := strings.Cut(jira.lines(1)[0], "jira: ")
	if !ok {
		t.Fatal("jira does not say where it is")
	}
	for range 2 { // the second start keeps the token
		ran(t, binary, replaced(t, p.Services["token"].Command, "-file", token)...)
	}
	secret, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}

	probe := httptest.NewServer(nil)
	busURL := probe.URL
	probe.Close()
	config := filepath.Join(dir, "oslcbus.yml")
	if err := os.WriteFile(config, []byte(composeConfig(t, token)), 0o600); err != nil {
		t.Fatal(err)
	}
	env := composeEnv(t, p, "bus")
	for name, value := range env {
		env[name] = strings.NewReplacer(
			"mongodb:27017", mongo, "kafka:9092", broker.Addr,
			"http://jira:8081", jiraURL, "http://localhost:8080", busURL,
		).Replace(value)
	}
	argv := replaced(t, p.Services["bus"].Command, "-config", config)
	argv = append(argv, "-listen", strings.TrimPrefix(busURL, "http://"), "-data", filepath.Join(dir, "data"))
	bus := start(t, env, binary, argv...)

	// The health checks of what is built here.
	for service, url := range map[string]string{"jira": jiraURL + "/", "bus": busURL + "/readyz"} {
		test := p.Services[service].HealthCheck.Test
		if !slices.Equal(test[1:3], []string{"/oslcbus", "ready"}) {
			t.Fatalf("the health check of %s is %q", service, test)
		}
		within(t, 60*time.Second, service+" to be healthy", func() error {
			out, err := exec.CommandContext(t.Context(), binary, append(slices.Clone(test[2:len(test)-1]), url)...).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s\n%s", err, out, &bus.stderr)
			}
			return nil
		})
	}

	db := mongotest.Connect(t, env["MONGODB_URI"], "st2")
	r := &realRig{rig: &rig{t: t, url: busURL}, db: db, broker: broker, topic: "st2_event"}
	id, _ := r.insert("r")
	r.set(id, `{"enabled": false}`)
	if err := db.Delete(t.Context(), rules, byID(id)); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, m := range r.messages(r.topic, 3) {
		kinds = append(kinds, parseEvent(t, m).Change.String())
	}
	if got := strings.Join(kinds, " "); got != "creation modification deletion" {
		t.Errorf("the events are %s", got)
	}
	within(t, 30*time.Second, "the ticket", func() error {
		_, page := r.get(jiraURL + "/")
		if n := strings.Count(page, "/browse/DEMO-"); n != 1 || !strings.Contains(page, "Rule demo.r was disabled") {
			return fmt.Errorf("there are %d tickets", n)
		}
		return nil
	})
	if resp, _ := r.get("/trs/st2"); resp.StatusCode != http.StatusUnauthorized || resp.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("without a token: %s", resp.Status)
	}
	bearer := "Bearer " + strings.TrimSpace(string(secret))
	if resp, body := r.get("/trs/st2", "Authorization", bearer, "Accept", "text/turtle"); resp.StatusCode != http.StatusOK {
		t.Errorf("with the token: %s: %s", resp.Status, body)
	}
	walk := trstest.NewWalker(&http.Client{Transport: authorized(bearer)}, busURL+"/trs/st2").Walk(t)
	if len(walk.Changes) != 3 || len(walk.Members) != 0 {
		t.Errorf("the set has %d entries and %d members, want 3 and 0", len(walk.Changes), len(walk.Members))
	}
	bus.interrupt()
	jira.interrupt()
	if log := bus.stderr.String(); strings.Contains(log, strings.TrimSpace(string(secret))) {
		t.Error("the log shows the token")
	}
}

// replaced returns a command of the compose file with other values of flags that
// it must have.
func replaced(t *testing.T, command []string, flags ...string) []string {
	t.Helper()
	argv := slices.Clone(command)
	for i := 0; i+1 < len(flags); i += 2 {
		at := slices.Index(argv, flags[i])
		if at < 0 || at+1 == len(argv) {
			t.Fatalf("%q has no %s", command, flags[i])
		}
		argv[at+1] = flags[i+1]
	}
	return argv
}

// start starts a program with an environment of its own.
func start(t *testing.T, env map[string]string, binary string, args ...string) *child {
	t.Helper()
	words := []string{"/usr/bin/env"}
	for name, value := range env {
		words = append(words, name+"="+value)
	}
	return startChild(t, append(append(words, binary), args...)...)
}

func ran(t *testing.T, binary string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// within tries until try has no error.
func within(t *testing.T, limit time.Duration, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// authorized adds an Authorization header to each request.
type authorized string

func (a authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", string(a))
	return testkit.HTTP.Transport.RoundTrip(r)
}
