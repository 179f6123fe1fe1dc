package automation

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	"github.com/oslcbus/oslcbus/oslc"
	"github.com/oslcbus/oslcbus/oslc/rdf"
	"github.com/oslcbus/oslcbus/oslc/vocab"
)

// costLimit bounds the work of one expression, in CEL's units: about what a loop
// over ten thousand values costs.
const costLimit = 100_000

// A language is the CEL environment that rules are compiled in, and what it is told
// of the names that they use.
type language struct {
	*cel.Env
	known func(name string) error // of a prefixed name
}

func newLanguage(known func(name string) error) (*language, error) {
	env, err := cel.NewEnv(
		cel.Variable("event", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("resource", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("context", cel.MapType(cel.StringType, cel.DynType)),
		ext.Strings(),
	)
	return &language{env, known}, err
}

// names checks the prefixed names by which an expression asks for properties of the
// resource: resource["st2:ruleRef"].
func (l *language) names(tree *cel.Ast) error {
	var errs []error
	ast.PostOrderVisit(tree.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		args := e.AsCall().Args()
		if len(args) != 2 || !slices.Contains([]string{"_[_]", "_[?_]", "@in", "in"}, e.AsCall().FunctionName()) {
			return
		}
		of, key := args[0], args[1]
		if e.AsCall().FunctionName() != "_[_]" && key.Kind() == ast.IdentKind {
			of, key = key, of // "name" in resource
		}
		if of.Kind() != ast.IdentKind || of.AsIdent() != "resource" || key.Kind() != ast.LiteralKind {
			return
		}
		if name, ok := key.AsLiteral().Value().(string); ok && strings.Contains(name, ":") {
			if err := l.known(name); err != nil {
				errs = append(errs, err)
			}
		}
	}))
	return errors.Join(errs...)
}

// variables are the names that expressions may use.
var variables = []string{"context", "event", "resource"}

func compile(env *language, text string) (cel.Program, *cel.Type, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, errors.New("there is no expression")
	}
	tree, issues := env.Compile(text)
	if issues.Err() != nil {
		return nil, nil, errors.New(issueText(text, issues))
	}
	if err := env.names(tree); err != nil {
		return nil, nil, err
	}
	prg, err := env.Program(tree, cel.CostLimit(costLimit))
	return prg, tree.OutputType(), err
}

// issueText is what CEL has to say of an expression, in one line.
func issueText(expr string, issues *cel.Issues) string {
	var said []string
	for _, e := range issues.Errors() {
		text, _, _ := strings.Cut(e.Message, "\n")
		text = strings.Replace(text, " (in container '')", "", 1)
		text, _, _ = strings.Cut(text, " expecting ") // a list of everything that CEL knows
		text = strings.Replace(text, "'<EOF>'", "the end", 1)
		at := e.Location.Column()
		if rest, ok := strings.CutPrefix(text, "undeclared reference to '"); ok {
			name, _, _ := strings.Cut(rest, "'")
			// Of a call, the place is that of its parenthesis.
			if runes := []rune(expr); at >= 0 && at < len(runes) && runes[at] == '(' {
				text = fmt.Sprintf("there is no function %q", name)
			} else {
				text = fmt.Sprintf("there is no %q; there are: %s", name, strings.Join(variables, ", ")) + Suggest(name, variables)
			}
		}
		said = append(said, fmt.Sprintf("%s (at character %d)", text, at+1))
	}
	return strings.Join(said, "; ")
}

// A template is a value of the configuration in which ${...} was compiled.
type template interface {
	eval(vars map[string]any) (any, error)
}

type constant struct{ v any }

func (c constant) eval(map[string]any) (any, error) { return c.v, nil }

// expression is a ${...} that stands alone: its result keeps its type.
type expression struct {
	text string
	prg  cel.Program
}

func (x expression) eval(vars map[string]any) (any, error) {
	v, _, err := x.prg.Eval(vars)
	if err != nil {
		return nil, oslc.E("automation.eval", fmt.Errorf("${%s}: %w", x.text, err), oslc.Invalid)
	}
	if v.Type() == types.NullType {
		return nil, nil
	}
	out, err := native(v.Value())
	if err != nil {
		return nil, oslc.E("automation.eval", fmt.Errorf("${%s}: %w", x.text, err), oslc.Invalid)
	}
	return out, nil
}

// text is a string with ${...} in it.
type text []template

func (t text) eval(vars map[string]any) (any, error) {
	var b strings.Builder
	for _, part := range t {
		v, err := part.eval(vars)
		if err != nil {
			return nil, err
		}
		b.WriteString(inText(v))
	}
	return b.String(), nil
}

func inText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

type list []template

func (l list) eval(vars map[string]any) (any, error) {
	out := make([]any, len(l))
	for i, t := range l {
		var err error
		if out[i], err = t.eval(vars); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type object map[string]template

func (o object) eval(vars map[string]any) (any, error) {
	out := make(map[string]any, len(o))
	for _, k := range sortedKeys(o) {
		var err error
		if out[k], err = o[k].eval(vars); err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
	}
	return out, nil
}

// compileValue compiles a value of the configuration, with the ${...} in it.
func compileValue(env *language, v any) (template, error) {
	switch v := v.(type) {
	case string:
		return compileText(env, v)
	case []any:
		out := make(list, len(v))
		for i, x := range v {
			var err error
			if out[i], err = compileValue(env, x); err != nil {
				return nil, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return out, nil
	case map[string]any:
		out := make(object, len(v))
		for _, k := range sortedKeys(v) {
			var err error
			if out[k], err = compileValue(env, v[k]); err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
		}
		return out, nil
	case int:
		return constant{int64(v)}, nil
	case nil, bool, int64, float64:
		return constant{v}, nil
	}
	return nil, fmt.Errorf("a value of type %T cannot be used", v)
}

func compileText(env *language, s string) (template, error) {
	var parts text
	for s != "" {
		i := strings.Index(s, "${")
		switch {
		case i < 0:
			parts, s = append(parts, constant{s}), ""
			continue
		case i > 0 && s[i-1] == '$': // $${ stands for ${
			parts, s = append(parts, constant{s[:i-1] + "${"}), s[i+2:]
			continue
		case i > 0:
			parts = append(parts, constant{s[:i]})
		}
		n := closing(s[i+2:])
		if n < 0 {
			return nil, fmt.Errorf("${ without } in %q", s)
		}
		x := s[i+2 : i+2+n]
		prg, _, err := compile(env, x)
		if err != nil {
			return nil, fmt.Errorf("${%s}: %w", x, err)
		}
		parts, s = append(parts, expression{x, prg}), s[i+3+n:]
	}
	switch {
	case len(parts) == 0:
		return constant{""}, nil
	case len(parts) == 1:
		return parts[0], nil
	}
	return parts, nil
}

// closing returns where the } is that ends an expression: not one inside a
// string or of a map.
func closing(s string) int {
	depth, quote := 0, byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '{':
			depth++
		case c == '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}

// native turns a value of CEL into what a Request holds.
func native(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, bool, int64, float64:
		return v, nil
	case types.Null:
		return nil, nil
	case uint64:
		if v > math.MaxInt64 {
			return nil, fmt.Errorf("%d is too large for a whole number", v)
		}
		return int64(v), nil
	case []byte:
		return string(v), nil
	case time.Time:
		return rdf.FormatTime(v), nil
	case time.Duration:
		return v.String(), nil
	}
	// Lists and maps, of CEL's own types or ours: by way of JSON.
	if ref, ok := v.(interface{ Value() any }); ok {
		return native(ref.Value())
	}
	switch v := v.(type) {
	case []any:
		return nativeList(v)
	case []string:
		out := make([]any, len(v))
		for i, s := range v {
			out[i] = s
		}
		return out, nil
	case map[string]any:
		return nativeMap(v)
	}
	return nativeReflect(v)
}

// values are the variables that expressions see.
func values(e *oslc.Event, provider string, ctx map[string]any, prefixed func(iri string) string) map[string]any {
	event := map[string]any{
		"id": e.ID, "uri": e.URI(), "change": e.Change.String(), "time": e.Time, "provider": provider,
		"changed": shorten(e.Changed, prefixed), "types": shorten(append([]string{e.Change.IRI()}, e.Types...), prefixed),
		"caused_by": e.CausedBy,
	}
	return map[string]any{"event": event, "resource": resourceValues(e, prefixed), "context": ctx}
}

func shorten(iris []string, prefixed func(string) string) []any {
	out := make([]any, len(iris))
	for i, iri := range iris {
		out[i] = prefixed(iri)
	}
	return out
}

func resourceValues(e *oslc.Event, prefixed func(string) string) map[string]any {
	s := rdf.NewIRI(e.Subject)
	many := map[string][]any{}
	var classes []string
	for t := range e.Resource.About(s) {
		if t.P.Value == rdf.Type {
			classes = append(classes, t.O.Value)
		}
		k := prefixed(t.P.Value)
		many[k] = append(many[k], termValue(t.O))
	}
	out := map[string]any{"uri": e.Subject, "types": shorten(classes, prefixed), "title": "", "description": "", "identifier": ""}
	for k, vs := range many {
		if len(vs) == 1 {
			out[k] = vs[0]
			continue
		}
		out[k] = vs
	}
	for name, p := range map[string]string{
		"title": vocab.DCTermsTitle, "description": vocab.DCTermsDescription, "identifier": vocab.DCTermsIdentifier,
	} {
		if v := e.Resource.Value(s, p); v != "" {
			out[name] = v
		}
	}
	return out
}

func termValue(t rdf.Term) any {
	if t.Kind != rdf.Literal {
		return t.Value
	}
	switch t.Datatype {
	case rdf.XSDBoolean:
		if b, ok := t.Bool(); ok {
			return b
		}
	case rdf.XSDInteger, rdf.XSD + "int", rdf.XSD + "long":
		if i, ok := t.Int(); ok {
			return i
		}
	case rdf.XSDDecimal, rdf.XSDDouble, rdf.XSD + "float":
		if f, err := strconv.ParseFloat(t.Value, 64); err == nil {
			return f
		}
	case rdf.XSDDateTime:
		if v, ok := t.Time(); ok {
			return v
		}
	}
	return t.Value
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return slices.Clip(keys)
}

// Suggest returns "; did you mean ...?" with the one of a list that a name was perhaps
// meant to be, or "" when none is near.
func Suggest(name string, list []string) string {
	best, least := "", 3 // more than two letters off is another word
	for _, x := range list {
		if d := distance(strings.ToLower(name), strings.ToLower(x)); d < least && d < len(x) {
			best, least = x, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is the number of letters to put in, take out or replace between two words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			row[j+1] = min(above+1, row[j]+1, corner+1)
			if a[i] == b[j] {
				row[j+1] = min(row[j+1], corner)
			}
			corner = above
		}
	}
	return row[len(b)]
}
