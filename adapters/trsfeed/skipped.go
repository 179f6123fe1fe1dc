package trsfeed

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// A skipList has the resources that could not be read, and why.
type skipList struct {
	mu   sync.Mutex
	byID map[string]adapters.Skipped
}

// longestReason is how many bytes of a reason are kept.
const longestReason = 500

func (l *skipList) skip(uri string, err error, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]adapters.Skipped{}
	}
	s, ok := l.byID[uri]
	if !ok {
		s = adapters.Skipped{Resource: uri, Since: now.UTC()}
	}
	reason := oslc.Message(err)
	s.Kind, s.Reason = oslc.KindOf(err).String(), reason[:min(len(reason), longestReason)]
	s.Tries++
	l.byID[uri] = s
}

// remember notes what could not be read before the program was started.
func (l *skipList) remember(uri string, now time.Time) {
	l.mu.Lock()
	_, known := l.byID[uri]
	l.mu.Unlock()
	if !known {
		l.skip(uri, oslc.Errorf("trsfeed.read", oslc.Unavailable, "it could not be read before the start"), now)
	}
}

// read notes that a resource could be read, or is of no more interest.
func (l *skipList) read(uri string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, uri)
}

// keep forgets what is no member any more.
func (l *skipList) keep(members []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for uri := range l.byID {
		if _, found := slices.BinarySearch(members, uri); !found {
			delete(l.byID, uri)
		}
	}
}

var _ adapters.Skipper = (*Source)(nil)

// Skipped implements adapters.Skipper.
func (s *Source) Skipped() []adapters.Skipped {
	s.list.mu.Lock()
	defer s.list.mu.Unlock()
	out := make([]adapters.Skipped, 0, len(s.list.byID))
	for _, uri := range slices.Sorted(maps.Keys(s.list.byID)) {
		out = append(out, s.list.byID[uri])
	}
	return out
}
