package oslcbus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/automation"
	"github.com/oslcbus/oslcbus/bus"
	"github.com/oslcbus/oslcbus/oslc"
)

// A ruleSet are the rules of the configuration and of the files that it names, with
// the places where they were read.
type ruleSet struct {
	rules  []automation.RuleConfig
	places []rulePlace
}

type rulePlace struct {
	doc *document
	key string // such as rules[2]
}

// rulesFile is the top level of a file of rules.
type rulesFile struct {
	Rules []automation.RuleConfig `yaml:"rules"`
}

// add appends the rules of a file; doc is nil for those of a Config made in Go.
func (s *ruleSet) add(rules []automation.RuleConfig, doc *document) {
	for i := range rules {
		s.rules = append(s.rules, rules[i])
		s.places = append(s.places, rulePlace{doc, fmt.Sprintf("rules[%d]", i)})
	}
}

// ruleFiles returns the files that rule_files names, in order, each once. A pattern
// may find nothing; a file that is named must be there.
func (c *Config) ruleFiles() ([]string, error) {
	var out []string
	for i, pattern := range c.RuleFiles {
		key := fmt.Sprintf("rule_files[%d]", i)
		path := pattern
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.dir, path)
		}
		found := []string{path}
		if strings.ContainsAny(pattern, `*?[`) {
			var err error
			if found, err = filepath.Glob(path); err != nil {
				return nil, c.errorAt(key, fmt.Errorf("%q: %w", pattern, err))
			}
			slices.Sort(found)
		} else if _, err := os.Stat(path); err != nil {
			return nil, c.errorAt(key, fmt.Errorf("%s: %w", path, errors.Unwrap(err)))
		}
		for _, f := range found {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	return out, nil
}

// ruleSet reads all rules.
func (c *Config) ruleSet() (*ruleSet, error) {
	s := &ruleSet{}
	s.add(c.Rules, c.doc)
	files, err := c.ruleFiles()
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, &ConfigError{File: path, Err: errors.Unwrap(err)}
		}
		d, err := parseYAML(path, data)
		if err != nil {
			return nil, err
		}
		var f rulesFile
		if err := d.decode(d.root, "", &f); err != nil {
			return nil, err
		}
		s.add(f.Rules, d)
	}
	return s, nil
}

// errorOf finds the place of an error of automation.Compile.
func (s *ruleSet) errorOf(err error) error {
	re, ok := errors.AsType[*automation.RuleError](err)
	if !ok {
		return err
	}
	at := s.places[re.Index]
	c := &Config{doc: at.doc}
	if fe, ok := errors.AsType[*automation.FieldError](err); ok {
		return c.errorAt(at.key+"."+fe.Field, fmt.Errorf("rule %q: %w", re.Name, fe.Err))
	}
	return c.errorAt(at.key, err)
}

// reload is how the last reading of the rules went.
type reload struct {
	mu     sync.Mutex
	failed string // why the newest files are not in force; empty when they are
}

// ReloadRules reads the rules again, from the file of the configuration and from those
// that it names. New rules judge the events that come to the rules from then on; what
// was judged before is not judged again. With an error, which has kind Invalid and
// tells file and line, the rules stay as they are.
func (e *Engine) ReloadRules(ctx context.Context) error {
	e.reload.mu.Lock()
	defer e.reload.mu.Unlock()
	err := e.reloadRules(ctx)
	result, bad := "ok", 0.0
	if err != nil {
		result, bad = "failed", 1
	}
	e.metrics.reloads.WithLabelValues(result).Inc()
	e.metrics.rulesOld.Set(bad)
	switch {
	case err == nil:
		e.reload.failed = ""
		e.status.note("rules", "")
	case e.reload.failed != err.Error(): // each reason once
		e.reload.failed = err.Error()
		e.status.note("rules", "the rules as they were stay in force: "+oslc.Message(err))
		e.logger.ErrorContext(ctx, "rules not reloaded; those that were stay in force", "err", err)
	}
	return err
}

func (e *Engine) reloadRules(ctx context.Context) error {
	cfg := e.cfg
	if cfg.path != "" {
		var err error
		if cfg, err = LoadConfig(cfg.path, cfg.opts); err != nil {
			return err
		}
	}
	set, err := cfg.ruleSet()
	if err != nil {
		return err
	}
	rules, err := automation.Compile(set.rules, e.scope)
	if err != nil {
		return set.errorOf(err)
	}
	if e.rules.Load().Len() == 0 && rules.Len() > 0 {
		e.first.begin(e.ruleInputs(ctx))
	}
	e.rules.Store(rules)
	e.first.tell()
	e.metrics.rules.Set(float64(len(set.rules)))
	e.logger.InfoContext(ctx, "rules reloaded", "rules", len(set.rules))
	return nil
}

// lookEvery is how often the files are looked at. Two looks must find the same before
// it counts: who writes a file may not be done with it.
const lookEvery = 2 * time.Second

// watchRules reloads the rules when their files change, until ctx ends.
func (e *Engine) watchRules(ctx context.Context) {
	if e.cfg.path == "" && len(e.cfg.RuleFiles) == 0 {
		return
	}
	for bus.Sleep(ctx, lookEvery) == nil {
		e.watch.look(ctx)
	}
}

// ruleWatch knows which content of the files was seen, and which was taken.
type ruleWatch struct {
	e           *Engine
	seen, taken [sha256.Size]byte

	text []byte // of the configuration when cfg was made of it
	cfg  Config
}

func newRuleWatch(e *Engine) *ruleWatch {
	w := &ruleWatch{e: e, cfg: e.cfg}
	w.taken = w.sum()
	return w
}

func (w *ruleWatch) look(ctx context.Context) {
	now := w.sum()
	if now != w.taken && now == w.seen {
		w.taken = now
		_ = w.e.ReloadRules(ctx) // it tells of errors itself
	}
	w.seen = now
}

// sum is a digest of the names and contents of the files; what cannot be read counts
// with the reason.
func (w *ruleWatch) sum() [sha256.Size]byte {
	var b bytes.Buffer
	add := func(path string) []byte {
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s\x00%d\x00%v\x00", path, len(data), err)
		b.Write(data)
		return data
	}
	if path := w.e.cfg.path; path != "" {
		if text := add(path); !bytes.Equal(text, w.text) {
			w.text = text
			// What it names now; that it cannot be read is ReloadRules's to tell.
			if cfg, err := LoadConfig(path, w.e.cfg.opts); err == nil {
				w.cfg = cfg
			}
		}
	}
	files, err := w.cfg.ruleFiles()
	fmt.Fprintf(&b, "%v\x00", err)
	for _, f := range files {
		add(f)
	}
	return sha256.Sum256(b.Bytes())
}
