package jira

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/oslcbus/oslcbus/adapters"
	"github.com/oslcbus/oslcbus/oslc"
)

// maxAnswer bounds what is read of an answer: a page of two issues is small.
const maxAnswer = 1 << 20

// post calls the API with a JSON body and reads the answer into out.
func (x *Executor) post(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return oslc.E("jira.post", err, oslc.Invalid)
	}
	version := "2"
	if x.cloud {
		version = "3"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.base+"/rest/api/"+version+path, bytes.NewReader(body))
	if err != nil {
		return oslc.E("jira.post", err, oslc.Invalid)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "oslcbus")
	oslc.SetTrace(req)
	if x.user != "" {
		req.SetBasicAuth(x.user, string(x.token))
	} else {
		req.Header.Set("Authorization", "Bearer "+string(x.token))
	}
	resp, err := x.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return oslc.E("jira.post", err, oslc.Unavailable)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return oslc.E("jira.post", err, oslc.Unavailable)
	}
	if resp.StatusCode/100 != 2 {
		return x.refused(resp, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return oslc.E("jira.post", fmt.Errorf("the answer is no JSON: %w", err), oslc.Unavailable)
	}
	return nil
}

// refused classifies an answer that is no success and keeps Jira's own words.
func (x *Executor) refused(resp *http.Response, body []byte) error {
	e := &oslc.Error{Op: "jira." + strconv.Itoa(resp.StatusCode), Err: errors.New(x.words(resp, body))}
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s/100 == 3:
		e.Kind = oslc.Denied
	case s == http.StatusNotFound, s == http.StatusGone:
		e.Kind = oslc.NotFound
	case s == http.StatusTooManyRequests:
		e.Kind, e.RetryAfter = oslc.Limited, x.retryAfter(resp.Header)
	case s == http.StatusConflict, s == http.StatusRequestTimeout, s/100 == 5:
		e.Kind, e.RetryAfter = oslc.Unavailable, x.retryAfter(resp.Header)
	default:
		e.Kind = oslc.Invalid
	}
	return e
}

// words are the messages in an error body; some answers are HTML or empty.
func (x *Executor) words(resp *http.Response, body []byte) string {
	var b struct {
		ErrorMessages []string       `json:"errorMessages"`
		Errors        map[string]any `json:"errors"`
		Message       string         `json:"message"`
	}
	var said []string
	if json.Unmarshal(body, &b) == nil {
		said = b.ErrorMessages
		names := make([]string, 0, len(b.Errors))
		for name := range b.Errors {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			said = append(said, fmt.Sprintf("%s: %v", name, b.Errors[name]))
		}
		if b.Message != "" {
			said = append(said, b.Message)
		}
	}
	if resp.Header.Get("X-Seraph-LoginReason") == "AUTHENTICATION_DENIED" {
		said = append(said, "the account is locked until somebody logs in by hand (CAPTCHA)")
	}
	if len(said) == 0 {
		said = append(said, resp.Status)
	}
	// An answer may echo what was sent, also as the header had it.
	text := strings.Join(said, "; ")
	for _, secret := range []string{string(x.token), base64.StdEncoding.EncodeToString([]byte(x.user + ":" + string(x.token)))} {
		text = strings.ReplaceAll(text, secret, "<secret>")
	}
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "…"
	}
	return text
}

// maxWords bounds what is kept of a tool's words, in bytes.
const maxWords = 2000

// retryAfter reads Retry-After in seconds or as a date, else X-RateLimit-Reset,
// which is an ISO 8601 instant (Jira Cloud). It is at most adapters.MaxRetryAfter.
func (x *Executor) retryAfter(h http.Header) time.Duration {
	now := x.now()
	if d := adapters.RetryAfter(h, now); d > 0 || h.Get("Retry-After") == "0" {
		return d
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} { // some come without seconds
		if t, err := time.Parse(layout, h.Get("X-RateLimit-Reset")); err == nil {
			return min(max(0, t.Sub(now)), adapters.MaxRetryAfter)
		}
	}
	return 0
}
