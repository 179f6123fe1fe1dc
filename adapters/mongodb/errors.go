package mongodb

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/oslcbus/oslcbus/oslc"
)

// Codes of the server that decide what the watcher does; their names are in
// src/mongo/base/error_codes.yml of MongoDB.
const (
	codeUnauthorized            = 13
	codeAuthenticationFailed    = 18
	codeAtlasDenied             = 8000
	codeCappedPositionLost      = 136
	codeChangeStreamFatal       = 280
	codeChangeStreamHistoryLost = 286
	codeInvalidResumeToken      = 260
	codeBSONObjectTooLarge      = 10334
	codeNotAReplicaSet          = 40573
)

// badToken are codes, beside InvalidResumeToken, by which servers refuse a token
// that they cannot read: a wrong type, a broken KeyString.
var badToken = []int{9, 40576, 40647, 40648, 40649, 50788, 50790, 50809, 50811, 50816}

// classify gives an error of the driver its kind.
func classify(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case hasCode(err, codeUnauthorized, codeAuthenticationFailed, codeAtlasDenied), isAuthentication(err):
		return oslc.E(op, err, oslc.Denied)
	case hasCode(err, codeNotAReplicaSet):
		return oslc.E(op, err, oslc.Invalid)
	case hasCode(err, codeChangeStreamHistoryLost, codeCappedPositionLost, codeInvalidResumeToken):
		return oslc.E(op, err, oslc.Gone)
	case hasCode(err, codeBSONObjectTooLarge):
		return oslc.E(op, errors.Join(ErrTooLarge, err), oslc.Internal)
	case hasCode(err, codeChangeStreamFatal):
		return oslc.E(op, errors.Join(ErrTokenNotFound, err), oslc.Gone)
	case mongo.IsNetworkError(err), mongo.IsTimeout(err):
		return oslc.E(op, err, oslc.Unavailable)
	}
	var server mongo.ServerError
	if !errors.As(err, &server) {
		// The driver found no server, or lost it: its own errors have no common
		// type, and all of them pass.
		return oslc.E(op, err, oslc.Unavailable)
	}
	passing := []string{"ResumableChangeStreamError", "RetryableWriteError", "TransientTransactionError"}
	if slices.ContainsFunc(passing, server.HasErrorLabel) {
		return oslc.E(op, err, oslc.Unavailable)
	}
	// An election, a shutdown and the like, where a server set no label.
	if hasCode(err, 6, 7, 43, 63, 89, 91, 133, 150, 189, 234, 262, 317, 358, 9001, 10107, 11600, 11602, 13388, 13435, 13436) {
		return oslc.E(op, err, oslc.Unavailable)
	}
	return oslc.E(op, err, oslc.Internal)
}

// classifyResume is classify for a stream that was opened at a place: what the
// server does not understand then is the token.
func classifyResume(op string, err error, from Position) error {
	if from.Token != "" && !from.ByTime && hasCode(err, badToken...) {
		return oslc.E(op, err, oslc.Gone)
	}
	return classify(op, err)
}

func hasCode(err error, codes ...int) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && slices.ContainsFunc(codes, server.HasErrorCode)
}

// isAuthentication recognizes a refused login. The driver wraps it in a
// connection error whose cause is of an internal type.
func isAuthentication(err error) bool {
	text := err.Error()
	return strings.Contains(text, "AuthenticationFailed") || strings.Contains(text, "unable to authenticate") ||
		strings.Contains(text, "auth error")
}

// redact takes the credentials of a connection string out of an error's text.
func redact(err error, uri string) error {
	text := strings.ReplaceAll(err.Error(), uri, "<uri>")
	if _, rest, ok := strings.Cut(uri, "://"); ok {
		if user, _, ok := strings.Cut(rest, "@"); ok {
			for part := range strings.SplitSeq(user, ":") {
				if part == "" {
					continue
				}
				text = strings.ReplaceAll(text, part, "<secret>")
				if plain, err := url.PathUnescape(part); err == nil && plain != "" {
					text = strings.ReplaceAll(text, plain, "<secret>")
				}
			}
		}
	}
	return errors.New(text)
}
