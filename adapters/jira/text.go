package jira

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// maxText is what a rich-text field holds, in bytes, less room for the link and
// for the structure around it.
const maxText = 30_000

// richText encodes text as the deployment wants it, the Atlassian Document Format
// for Cloud and wiki markup for Data Center, and ends it with a link to the
// resource.
func (x *Executor) richText(text, resource string) any {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	var paragraphs []string
	for p := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n\n") {
		if p = strings.TrimSpace(p); p != "" {
			paragraphs = append(paragraphs, p)
		}
	}
	if resource != "" {
		paragraphs = append(paragraphs, "Resource: "+resource)
	}
	if !x.cloud {
		return strings.Join(paragraphs, "\n\n")
	}
	if len(paragraphs) == 0 {
		return nil // an empty document is refused
	}
	blocks := make([]any, len(paragraphs))
	for i, p := range paragraphs {
		blocks[i] = map[string]any{"type": "paragraph", "content": inline(p)}
	}
	return map[string]any{"type": "doc", "version": 1, "content": blocks}
}

// descriptionField is a description that was given as a field: as text, or for
// Cloud as a document. It ends with the link as well.
func (x *Executor) descriptionField(v any, resource string) (any, error) {
	switch v := v.(type) {
	case nil:
		return x.richText("", resource), nil
	case string:
		return x.richText(v, resource), nil
	case map[string]any:
		content, ok := v["content"].([]any)
		if !x.cloud || !ok || v["type"] != "doc" {
			break
		}
		if resource == "" {
			return v, nil
		}
		out := maps.Clone(v)
		out["content"] = append(slices.Clone(content), map[string]any{
			"type": "paragraph", "content": inline("Resource: " + resource),
		})
		return out, nil
	}
	if x.cloud {
		return nil, fmt.Errorf("fields.description: a text or an Atlassian document (type doc, content) is needed, not %T", v)
	}
	return nil, fmt.Errorf("fields.description: a text is needed, not %T", v)
}

var address = regexp.MustCompile(`https?://[^\s<>"]*[^\s<>".,;:!?)\]']`)

// inline turns line ends into breaks and addresses into links. ADF allows no
// empty text node.
func inline(p string) []any {
	var out []any
	text := func(s string) {
		if s != "" {
			out = append(out, map[string]any{"type": "text", "text": s})
		}
	}
	for i, line := range strings.Split(p, "\n") {
		if i > 0 {
			out = append(out, map[string]any{"type": "hardBreak"})
		}
		at := 0
		for _, m := range address.FindAllStringIndex(line, -1) {
			text(line[at:m[0]])
			url := line[m[0]:m[1]]
			out = append(out, map[string]any{"type": "text", "text": url, "marks": []any{
				map[string]any{"type": "link", "attrs": map[string]any{"href": url}},
			}})
			at = m[1]
		}
		text(line[at:])
	}
	return out
}
