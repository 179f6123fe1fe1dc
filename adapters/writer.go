package adapters

import (
	"context"

	"github.com/oslcbus/oslcbus/oslc"
)

// A Writer changes resources of a tool while a client waits. What it does comes
// back through the Source as an event, and only so: a Writer tells nobody.
//
// A write ends with the tool's answer. It tries once; its errors are classified by
// oslc.Kind, and say in the tool's own words what the tool refused:
//
//   - Invalid: the tool does not take these values, or Write.After asks for something
//     that the tool cannot keep. Nothing was written.
//   - NotFound: there is no such resource in the tool.
//   - Conflict: the tool has something else in the way, such as a resource of the same
//     name. oslc.ErrChanged among them means that the resource is not what
//     Write.Before says.
//   - Denied: the account of the bus may not do this in the tool.
//   - Unsupported: nothing of that kind can be written.
//   - Limited, Unavailable: repeat it later. Only after Unavailable it may have been
//     done; repeating an update or a deletion then has the same effect as doing it
//     once, and repeating a creation fails with Conflict where the tool keeps names
//     unique.
type Writer interface {
	// Create makes the resource that Write.After describes. The answer has its URI,
	// the one that the Source gives it too.
	Create(ctx context.Context, w oslc.Write) (oslc.Written, error)
	// Update makes the resource like Write.After. Whatever the graph does not show,
	// such as a hidden value, stays as it is in the tool. Immediately before it
	// writes it compares the tool's state with Write.Before.
	Update(ctx context.Context, w oslc.Write) (oslc.Written, error)
	// Delete removes the resource. Where Write.Before is set, it is compared first.
	Delete(ctx context.Context, w oslc.Write) error
}
