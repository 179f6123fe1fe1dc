package server

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"

	"github.com/oslcbus/oslcbus/oslc"
)

//go:embed static
var static embed.FS

// mediaTypes are ours: what a system's own table says of scripts is not always what a
// browser takes for one.
var mediaTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// Static answers with a file that the pages need: a script, the style, the icon.
func (s *Server) Static(w http.ResponseWriter, r *http.Request, name string) error {
	body, err := static.ReadFile("static/" + name)
	if err != nil || path.Ext(name) == ".html" {
		return oslc.Errorf("server.static", oslc.NotFound, "there is no file %q", name)
	}
	sum := sha256.Sum256(body)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	h := w.Header()
	h.Set("Content-Type", mediaTypes[path.Ext(name)])
	h.Set("Cache-Control", "max-age=3600")
	h.Set("ETag", tag)
	// Other pages show the icon.
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone when this fails
	}
	return nil
}
