// Package browser tests the pages that others show in a frame, previews and dialogs,
// in a real browser.
package browser
