package canon

import (
	"slices"
	"strings"

	"github.com/oslcbus/oslcbus/oslc/rdf"
)

// state is the canonicalization state of RDFC-1.0, section 4.3.
type state struct {
	mentions  map[string][]*rdf.Triple // blank node -> triples that mention it
	first     map[string]string        // blank node -> first degree hash
	canonical *issuer
	budget    int
}

// labels returns the canonical label of every blank node (section 4.4).
func labels(g *rdf.Graph, budget int) (map[string]string, error) {
	s := state{
		mentions: map[string][]*rdf.Triple{}, first: map[string]string{},
		canonical: newIssuer("c14n"), budget: budget,
	}
	ts := g.Triples()
	for i := range ts {
		t := &ts[i]
		if t.S.Kind == rdf.Blank {
			s.mentions[t.S.Value] = append(s.mentions[t.S.Value], t)
		}
		if t.O.Kind == rdf.Blank && t.O != t.S {
			s.mentions[t.O.Value] = append(s.mentions[t.O.Value], t)
		}
	}
	if len(s.mentions) == 0 {
		return nil, nil
	}
	byHash := map[string][]string{}
	for label := range s.mentions {
		h := s.firstDegree(label)
		byHash[h] = append(byHash[h], label)
	}
	hashes := make([]string, 0, len(byHash))
	for h := range byHash {
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	for _, h := range hashes {
		if nodes := byHash[h]; len(nodes) == 1 {
			s.canonical.issue(nodes[0])
		}
	}
	for _, h := range hashes {
		nodes := byHash[h]
		if len(nodes) == 1 {
			continue
		}
		slices.Sort(nodes)
		var paths []path
		for _, label := range nodes {
			if _, done := s.canonical.ids[label]; done {
				continue
			}
			temporary := newIssuer("b")
			temporary.issue(label)
			p, err := s.nDegree(label, temporary, 0)
			if err != nil {
				return nil, err
			}
			paths = append(paths, p)
		}
		slices.SortStableFunc(paths, func(a, b path) int { return strings.Compare(a.hash, b.hash) })
		for _, p := range paths {
			for _, label := range p.issuer.order {
				s.canonical.issue(label)
			}
		}
	}
	return s.canonical.ids, nil
}

// firstDegree is Hash First Degree Quads (section 4.6).
func (s *state) firstDegree(label string) string {
	if h, ok := s.first[label]; ok {
		return h
	}
	lines := make([]string, 0, len(s.mentions[label]))
	for _, t := range s.mentions[label] {
		lines = append(lines, string(appendTriple(nil, t, func(other string) string {
			if other == label {
				return "a"
			}
			return "z"
		})))
	}
	slices.Sort(lines)
	h := digest([]byte(strings.Join(lines, "")))
	s.first[label] = h
	return h
}

// related is Hash Related Blank Node (section 4.7).
func (s *state) related(label string, t *rdf.Triple, temporary *issuer, position string) string {
	var b []byte
	b = append(append(append(append(b, position...), '<'), t.P.Value...), '>')
	if id, ok := s.canonical.ids[label]; ok {
		b = append(append(b, "_:"...), id...)
	} else if id, ok := temporary.ids[label]; ok {
		b = append(append(b, "_:"...), id...)
	} else {
		b = append(b, s.firstDegree(label)...)
	}
	return digest(b)
}

type path struct {
	hash   string
	issuer *issuer
}

// Graphs whose blank nodes form longer chains of equal nodes are beyond the
// budget: the algorithm is recursive.
const maxRecursion = 2000

// nDegree is Hash N-Degree Quads (section 4.8).
func (s *state) nDegree(label string, temporary *issuer, depth int) (path, error) {
	if depth > maxRecursion {
		return path{}, ErrBudget
	}
	groups := map[string][]string{}
	for _, t := range s.mentions[label] {
		if t.S.Kind == rdf.Blank && t.S.Value != label {
			h := s.related(t.S.Value, t, temporary, "s")
			groups[h] = append(groups[h], t.S.Value)
		}
		if t.O.Kind == rdf.Blank && t.O.Value != label {
			h := s.related(t.O.Value, t, temporary, "o")
			groups[h] = append(groups[h], t.O.Value)
		}
	}
	hashes := make([]string, 0, len(groups))
	for h := range groups {
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	var data strings.Builder
	for _, h := range hashes {
		data.WriteString(h)
		chosen, chosenIssuer, err := s.shortest(groups[h], temporary, depth)
		if err != nil {
			return path{}, err
		}
		data.WriteString(chosen)
		temporary = chosenIssuer
	}
	return path{digest([]byte(data.String())), temporary}, nil
}

// shortest tries the nodes in every order and returns the least path.
func (s *state) shortest(nodes []string, temporary *issuer, depth int) (string, *issuer, error) {
	slices.Sort(nodes)
	var best string
	var bestIssuer *issuer
	worse := func(p string) bool { return best != "" && len(p) >= len(best) && p > best }
	for more := true; more; more = nextPermutation(nodes) {
		if s.budget--; s.budget < 0 {
			return "", nil, ErrBudget
		}
		try := temporary.clone()
		var p strings.Builder
		var deeper []string
		for _, label := range nodes {
			if id, ok := s.canonical.ids[label]; ok {
				p.WriteString("_:" + id)
				continue
			}
			if _, ok := try.ids[label]; !ok {
				deeper = append(deeper, label)
			}
			p.WriteString("_:" + try.issue(label))
			if worse(p.String()) {
				break
			}
		}
		if worse(p.String()) {
			continue
		}
		skip := false
		for _, label := range deeper {
			result, err := s.nDegree(label, try, depth+1)
			if err != nil {
				return "", nil, err
			}
			p.WriteString("_:" + try.issue(label) + "<" + result.hash + ">")
			try = result.issuer
			if skip = worse(p.String()); skip {
				break
			}
		}
		if !skip && (best == "" || p.String() < best) {
			best, bestIssuer = p.String(), try
		}
	}
	return best, bestIssuer, nil
}

// nextPermutation brings s into the next order; false after the last one.
func nextPermutation(s []string) bool {
	i := len(s) - 2
	for i >= 0 && s[i] >= s[i+1] {
		i--
	}
	if i < 0 {
		return false
	}
	j := len(s) - 1
	for s[j] <= s[i] {
		j--
	}
	s[i], s[j] = s[j], s[i]
	slices.Reverse(s[i+1:])
	return true
}
