package oslcbus_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/oslcbus/oslcbus"
	"github.com/oslcbus/oslcbus/adapters/all"
	"github.com/oslcbus/oslcbus/oslc"
)

var update = flag.Bool("update", false, "write the golden files")

func testEnv(name string) (string, bool) {
	v, ok := map[string]string{
		"DATA": "/var/lib/oslcbus", "BROKER": "kafka.example:9092", "EMPTY": "", "PORT": "8081", "TITLE": "From outside",
		"TOKEN": "not-a-real-secret", "NUMBER": "7",
	}[name]
	return v, ok
}

// TestConfigs checks each file of testdata/config as the command check does. A file
// with a twin of the ending .err is wrong in one thing, and the twin says in which
// words that is told; -update writes the twins of files whose name does not begin
// with good_.
func TestConfigs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/config/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			cfg, err := oslcbus.LoadConfig(file, oslcbus.ConfigOptions{Getenv: testEnv})
			if err == nil {
				_, err = oslcbus.New(cfg, oslcbus.Options{Adapters: all.Adapters()})
			}
			twin, good := strings.TrimSuffix(file, ".yml")+".err", strings.HasPrefix(filepath.Base(file), "good_")
			if good {
				if err != nil {
					t.Errorf("a good configuration is refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("a bad configuration is taken")
			}
			ce, ok := errors.AsType[*oslcbus.ConfigError](err)
			if !ok || ce.Line == 0 {
				t.Errorf("the error does not tell the line: %v", err)
			}
			if oslc.KindOf(err) != oslc.Invalid {
				t.Errorf("the kind is %s, want invalid", oslc.KindOf(err))
			}
			got := filepath.ToSlash(err.Error()) + "\n"
			if strings.Contains(got, "not-a-real-secret") {
				t.Errorf("the error holds a secret: %s", got)
			}
			if strings.Count(got, "\n") != 1 {
				t.Errorf("the error has more than one line: %q", got)
			}
			if *update {
				if err := os.WriteFile(twin, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(twin)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("error (-want +got):\n%s", d)
			}
		})
	}
}

func TestConfigFileIsAbsent(t *testing.T) {
	t.Parallel()
	_, err := oslcbus.LoadConfig("testdata/config/absent.yml", oslcbus.ConfigOptions{})
	if !errors.Is(err, fs.ErrNotExist) || oslc.KindOf(err) != oslc.Invalid || !strings.HasPrefix(err.Error(), "testdata/config/absent.yml: ") {
		t.Errorf("the error is %v", err)
	}
}

// TestExpand: what the environment puts into a value.
func TestExpand(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`${TITLE}`:                        "From outside",
		`a ${TITLE} b ${NUMBER}`:          "a From outside b 7",
		`${NONE:-default}`:                "default",
		`${EMPTY:-default}`:               "default",
		`${TITLE:-default}`:               "From outside",
		`x${NONE:-}`:                      "x",
		`x${EMPTY}`:                       "x",
		`$${TITLE}`:                       "${TITLE}",
		`a $${TITLE} ${NUMBER}`:           "a ${TITLE} 7",
		`$TITLE`:                          "$TITLE",
		`'${NUMBER}'`:                     "7",
		`"${NONE:-with: colon # and so}"`: "with: colon # and so",
	} {
		cfg, err := oslcbus.ParseConfig("x.yml", []byte("title: "+text+"\n"), oslcbus.ConfigOptions{Getenv: testEnv})
		if err != nil || cfg.Title != want {
			t.Errorf("%s becomes %q, %v, want %q", text, cfg.Title, err, want)
		}
	}
	cfg, err := oslcbus.ParseConfig("x.yml", []byte("trs: {page_size: '${NUMBER}'}\nkafka: {partitions: '1'}\n"), oslcbus.ConfigOptions{Getenv: testEnv})
	if err == nil {
		t.Errorf("a text in quotes is taken for a number: %+v", cfg.TRS)
	}
	cfg, err = oslcbus.ParseConfig("x.yml", []byte("trs:\n  page_size: ${NUMBER}\nlisten: 127.0.0.1:${PORT}\n"), oslcbus.ConfigOptions{Getenv: testEnv})
	if err != nil || cfg.TRS.PageSize != 7 || cfg.Listen != "127.0.0.1:8081" || cfg.BaseURL != "http://127.0.0.1:8081" {
		t.Errorf("a number from the environment: %+v, %v", cfg.TRS, err)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := oslcbus.ParseConfig("/etc/oslcbus/bus.yml", []byte("data: here\n"), oslcbus.ConfigOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{cfg.Listen, cfg.BaseURL, cfg.Title, filepath.ToSlash(cfg.Data), cfg.Requests.Topic, cfg.Requests.MediaType}
	want := []string{"127.0.0.1:8080", "http://127.0.0.1:8080", "oslcbus", "/etc/oslcbus/here", "bus_event", "application/rdf+xml"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("defaults (-want +got):\n%s", d)
	}
}

// TestConfigTellsNoSecrets: however a configuration is printed, its secrets are not
// in it.
func TestConfigTellsNoSecrets(t *testing.T) {
	t.Parallel()
	const text = `
connections:
  jira: {type: jira, url: "https://example.atlassian.net", user: bot@example.com, token: "${TOKEN}"}
  st2: {type: stackstorm, mongodb: {uri: "mongodb://ann:not-a-real-secret@127.0.0.1:27017/?replicaSet=rs0"}}
kafka:
  brokers: [kafka.example:9092]
  sasl: {mechanism: PLAIN, username: ann, password: not-a-real-secret}
`
	cfg, err := oslcbus.ParseConfig("x.yml", []byte(text), oslcbus.ConfigOptions{Getenv: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("configuration", "config", cfg, "connection", cfg.Connections["jira"])
	slog.New(slog.NewJSONHandler(&log, nil)).Info("configuration", "config", cfg, "kafka", cfg.Kafka)
	j, err := json.Marshal(cfg.Kafka)
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("%v\n%+v\n%#v\n%v\n%s\n%s", cfg, cfg, cfg.Kafka, &cfg, log.String(), j)
	if i := strings.Index(said, "not-a-real-secret"); i >= 0 {
		t.Errorf("a secret is in what is printed: ...%s...", said[max(0, i-200):min(len(said), i+40)])
	}
}
