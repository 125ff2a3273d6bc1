package main

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Access to datastore files over HTTPS, as /folder of a vCenter gives it.

const folderPrefix = "/folder/"

// authorised accepts a live session or the login as Basic authentication.  Needs the mutex.
func (w *world) authorised(in *http.Request) bool {
	if session := sessionOf(in); session != "" && w.alive(session) {
		return true
	}
	user, password, ok := in.BasicAuth()
	return ok && subtle.ConstantTimeCompare([]byte(user), []byte(w.spec.User)) == 1 &&
		subtle.ConstantTimeCompare([]byte(password), []byte(w.spec.Password)) == 1
}

func (w *world) serveFolder(out http.ResponseWriter, in *http.Request) {
	name := strings.TrimPrefix(in.URL.Path, folderPrefix)
	query := in.URL.Query()
	datastore := query.Get("dsName")
	w.mu.Lock()
	if !w.authorised(in) {
		w.mu.Unlock()
		out.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(out, "401 Unauthorized", http.StatusUnauthorized)
		return
	}
	count := w.counters.folderByFile["["+datastore+"] "+name]
	if count == nil {
		count = new(fileCount)
		w.counters.folderByFile["["+datastore+"] "+name] = count
	}
	w.counters.folderRequests++
	count.Requests++
	w.counters.folderNow++
	if w.counters.folderNow > w.counters.folderMost {
		w.counters.folderMost = w.counters.folderNow
	}
	defer func() {
		w.mu.Lock()
		w.counters.folderNow--
		w.mu.Unlock()
	}()
	ordered := w.takeFaultIf(func(f *fault) bool {
		return f.Method == folderReads && strings.HasSuffix(name, f.File)
	})
	delay := time.Duration(w.settings.FolderDelayMs) * time.Millisecond
	body, status := content(nil), http.StatusNotFound
	if query.Get("dcPath") == w.spec.Datacenter {
		body, status = w.openFile(datastore, name)
	}
	w.mu.Unlock()

	time.Sleep(delay)
	cut := int64(-1)
	if ordered != nil {
		ordered.wait()
		if ordered.Status != 0 {
			http.Error(out, ordered.Message, ordered.Status)
			return
		}
		if ordered.CutAfter != nil {
			cut = *ordered.CutAfter
		}
	}
	if in.Method != http.MethodGet && in.Method != http.MethodHead {
		status = http.StatusMethodNotAllowed
	}
	if status != http.StatusOK {
		http.Error(out, fmt.Sprintf("%d %s", status, http.StatusText(status)), status)
		return
	}
	serveContent(out, in, body, cut, func(n int64) {
		w.mu.Lock()
		w.counters.folderBytes += n
		count.Bytes += n
		w.mu.Unlock()
	})
}

// openFile finds a file of a datastore.  Needs the mutex.
func (w *world) openFile(datastore, name string) (content, int) {
	for _, vm := range w.vms {
		home, _ := vm.home()
		if datastore == home {
			if name == vm.file(".nvram") && len(vm.nvram) > 0 {
				return text(vm.nvram), http.StatusOK
			}
			if name == vm.file(".vmx") {
				return text(vm.vmx()), http.StatusOK
			}
		}
		for _, l := range vm.links {
			if l.datastore != datastore {
				continue
			}
			if name == l.name {
				return text(l.descriptor()), http.StatusOK
			}
			if name == l.extent() {
				return vm.openExtent(l)
			}
		}
	}
	return nil, http.StatusNotFound
}

// openExtent gives the file with a link's data, unless the running VM has it locked.
func (vm *VM) openExtent(l *link) (content, int) {
	attached := false
	for _, d := range vm.disks {
		attached = attached || d.live == l
	}
	if l.live && attached && vm.power == powerState("on") {
		return nil, http.StatusInternalServerError
	}
	if l.rdm == "physical" || l.format == deltaRefused {
		return nil, http.StatusForbidden
	}
	var body content
	if l.format == formatFlat {
		body = &image{world: vm.world, volume: l.volume, view: l.view(), moving: l.live}
	} else {
		body = l.deltaFile()
	}
	if l.disk.secret != nil {
		body = scrambled{body, l.disk.secret}
	}
	return body, http.StatusOK
}
