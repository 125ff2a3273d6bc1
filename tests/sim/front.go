package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"time"
)

// The front stands before the simulator's own handler.  It keeps the sessions as a vCenter does (a quoted cookie, a
// limit, an idle time), counts calls, and plays the faults that a test ordered.

const (
	cookieName = "vmware_soap_session"
	maxRequest = 4 << 20
)

// newerMethods lists the calls that a server hides from a client of an older version.
var newerMethods = map[string]bool{"CreateSnapshotEx_Task": true}

var olderVersions = []string{"8.0.1.0", "8.0.0.1", "7.0.3.0", "7.0.2.0", "7.0.1.0", "7.0.0.0", "6.7.3", "6.7", "6.5", "6.0", "5.5"}

// versionsReply lists the version of the spec and those before it.
func versionsReply(version string) string {
	text := `<?xml version="1.0" encoding="UTF-8" ?>
<namespaces version="1.0">
  <namespace>
    <name>urn:vim25</name>
    <version>` + version + `</version>
    <priorVersions>
`
	for _, older := range olderVersions {
		if older < version {
			text += "      <version>" + older + "</version>\n"
		}
	}
	return text + `    </priorVersions>
  </namespace>
</namespaces>
`
}

type front struct {
	world   *world
	inner   http.Handler
	standIn string   // what the inner handler takes for an empty password; "" = the spec has one
	lanes   sync.Map // session to *sync.Mutex: the simulator does not expect two calls of one session at once
}

func newFront(w *world, inner http.Handler, standIn string) http.Handler {
	return &front{world: w, inner: inner, standIn: standIn}
}

func (f *front) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	switch {
	case strings.HasPrefix(in.URL.Path, "/control/"):
		f.world.serveControl(out, in)
	case in.URL.Path == "/sdk/vimServiceVersions.xml":
		out.Header().Set("Content-Type", "text/xml")
		io.WriteString(out, versionsReply(f.world.spec.APIVersion))
	case strings.HasPrefix(in.URL.Path, folderPrefix):
		f.world.serveFolder(out, in)
	case in.URL.Path == "/sdk" || in.URL.Path == "/sdk/" || in.URL.Path == "/sdk/vimService":
		in.URL.Path = "/sdk"
		f.serveSOAP(out, in)
	default:
		http.NotFound(out, in)
	}
}

// sessionOf reads the session cookie as it was sent.  The quotes are part of the value.
func sessionOf(in *http.Request) string {
	for _, header := range in.Header["Cookie"] {
		for _, part := range strings.Split(header, ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
			if ok && name == cookieName && len(value) > 2 && value[0] == '"' && value[len(value)-1] == '"' {
				return value[1 : len(value)-1]
			}
		}
	}
	return ""
}

// alive tells whether the session exists, and notes that it was used.  Needs the mutex.
func (w *world) alive(session string) bool {
	used, ok := w.sessions[session]
	if !ok {
		return false
	}
	if idle := w.settings.SessionIdleMs; idle > 0 && time.Since(used) > time.Duration(idle)*time.Millisecond {
		delete(w.sessions, session)
		return false
	}
	w.sessions[session] = time.Now()
	return true
}

// govmomi refuses an empty password, a server need not: where the spec has none, an empty one becomes a word that nobody
// else can know, and every other one stays wrong.
var noPassword = regexp.MustCompile(`<password[^>]*(/>|></password>)`)

func emptyPassword(password string) (string, error) {
	if password != "" {
		return "", nil
	}
	word := make([]byte, 16)
	_, err := rand.Read(word)
	return hex.EncodeToString(word), err
}

func (f *front) serveSOAP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, maxRequest))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	method := methodOf(body)
	if method == "Login" && f.standIn != "" {
		body = noPassword.ReplaceAll(body, []byte("<password>"+f.standIn+"</password>"))
		in.ContentLength = int64(len(body))
	}
	w := f.world
	session := sessionOf(in)
	w.mu.Lock()
	w.counters.requests[method]++
	if session == "" || !w.alive(session) {
		in.Header.Del("Cookie")
		session = ""
	}
	full := method == "Login" && w.settings.SessionLimit > 0 && len(w.sessions) >= w.settings.SessionLimit
	ordered := w.takeFault(method, whereMethod)
	w.mu.Unlock()

	if ordered != nil && ordered.answerSOAP(out) {
		return
	}
	if full {
		http.Error(out, "503 Service Unavailable: Out of HTTP sessions", http.StatusServiceUnavailable)
		return
	}
	if newerMethods[method] && !f.knownAction(in.Header.Get("SOAPAction")) {
		writeFault(out, "InvalidRequest", "Unable to resolve WSDL method name "+method, "")
		return
	}
	if session != "" && !strings.HasPrefix(method, "WaitForUpdates") {
		lane, _ := f.lanes.LoadOrStore(session, new(sync.Mutex))
		lane.(*sync.Mutex).Lock()
		defer lane.(*sync.Mutex).Unlock()
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	watch := &watcher{ResponseWriter: out, world: w}
	lost := ordered != nil && ordered.Lose
	if lost {
		watch.ResponseWriter = httptest.NewRecorder()
	}
	f.inner.ServeHTTP(watch, in)
	f.ended(method, session, watch.status)
	if lost {
		panic(http.ErrAbortHandler)
	}
}

// ended notes what a call did to the sessions.
func (f *front) ended(method, session string, status int) {
	w := f.world
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case method == "Logout" && status == http.StatusOK && session != "":
		delete(w.sessions, session)
		f.lanes.Delete(session)
		w.counters.logouts++
	case method == "Login" && status != http.StatusOK:
		w.counters.failedLogins++
	}
}

// watcher sees the answer's status and cookie on their way out.
type watcher struct {
	http.ResponseWriter
	world  *world
	status int
}

func (x *watcher) WriteHeader(status int) {
	x.status = status
	header := x.Header()
	for _, line := range header["Set-Cookie"] {
		value, _, _ := strings.Cut(strings.TrimPrefix(line, cookieName+"="), ";")
		if !strings.HasPrefix(line, cookieName+"=") {
			continue
		}
		header.Set("Set-Cookie", fmt.Sprintf("%s=\"%s\"; Path=/; HttpOnly; Secure;", cookieName, value))
		x.world.mu.Lock()
		x.world.sessions[value] = time.Now()
		x.world.counters.logins++
		x.world.mu.Unlock()
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write gives the answer the prefixes that a vCenter uses: Go's encoder declares one of its own at every element.  The
// simulator writes an answer in one piece.
func (x *watcher) Write(answer []byte) (int, error) {
	const long = "XMLSchema-instance"
	short := bytes.ReplaceAll(answer, []byte(` xmlns:`+long+`="http://www.w3.org/2001/`+long+`"`), nil)
	short = bytes.ReplaceAll(short, []byte(` `+long+`:type="`), []byte(` xsi:type="`))
	if _, err := x.ResponseWriter.Write(short); err != nil {
		return 0, err
	}
	return len(answer), nil
}

// methodOf names the element inside of the SOAP body; empty when there is none.
func methodOf(body []byte) string {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	inBody := false
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok {
			if inBody {
				return start.Name.Local
			}
			inBody = start.Name.Local == "Body"
		}
	}
}

// knownAction tells whether the header asks for an API version that has the newer methods.
func (f *front) knownAction(action string) bool {
	version := strings.TrimPrefix(strings.Trim(action, `"`), "urn:vim25/")
	if version == "6.5" {
		return true
	}
	return strings.Contains(versionsReply(f.world.spec.APIVersion), "<version>"+version+"</version>") && version >= "6.5"
}

// writeFault answers a SOAP fault of the named type.
func writeFault(out http.ResponseWriter, kind, message, property string) {
	detail := ""
	if property != "" {
		detail = "<invalidProperty>" + escape(property) + "</invalidProperty>"
	}
	out.Header().Set("Content-Type", "text/xml; charset=utf-8")
	out.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(out, `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>
<detail><%sFault xmlns="urn:vim25" xsi:type="%s">%s</%sFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>
`, escape(message), kind, kind, detail, kind)
}

func escape(text string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		return ""
	}
	return b.String()
}
