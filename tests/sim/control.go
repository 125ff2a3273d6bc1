package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// The control endpoint is the test's own door: what a guest, an administrator or bad luck would do.  It is not part of
// any vSphere API and has no authentication; the simulator listens on loopback only.

var errNotFound = errors.New("there is no such thing")

// controls maps the paths that take a JSON document to what they do; each runs with the mutex held.
var controls = map[string]func(*world, *json.Decoder) (interface{}, error){
	"/control/write":          controlWrite,
	"/control/guest":          controlGuest,
	"/control/reset-counters": controlResetCounters,
	"/control/faults":         controlFaults,
	"/control/clear-faults":   controlClearFaults,
	"/control/drop-sessions":  controlDropSessions,
	"/control/reset-cbt":      controlResetCBT,
	"/control/under-report":   controlUnderReport,
	"/control/set":            controlSet,
	"/control/disk":           controlDisk,
	"/control/snapshot":       controlSnapshot,
	"/control/power":          controlPower,
	"/control/revert":         controlRevert,
	"/control/vm":             controlVM,
	"/control/datastore":      controlDatastore,
}

func (w *world) serveControl(out http.ResponseWriter, in *http.Request) {
	switch {
	case in.URL.Path == "/control/contents" && (in.Method == http.MethodGet || in.Method == http.MethodHead):
		w.serveContents(out, in)
	case in.URL.Path == "/control/state" && in.Method == http.MethodGet:
		w.mu.Lock()
		state := w.state()
		w.mu.Unlock()
		answerJSON(out, http.StatusOK, state)
	case in.Method == http.MethodPost && controls[in.URL.Path] != nil:
		decoder := json.NewDecoder(io.LimitReader(in.Body, 64<<20))
		decoder.DisallowUnknownFields()
		w.mu.Lock()
		answer, err := controls[in.URL.Path](w, decoder)
		w.mu.Unlock()
		status := http.StatusOK
		switch {
		case errors.Is(err, errNotFound):
			status = http.StatusNotFound
		case err != nil:
			status = http.StatusBadRequest
		}
		if err != nil {
			answer = map[string]string{"error": err.Error()}
		} else if answer == nil {
			answer = struct{}{}
		}
		answerJSON(out, status, answer)
	default:
		http.NotFound(out, in)
	}
}

func answerJSON(out http.ResponseWriter, status int, value interface{}) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
		return
	}
	out.Header().Set("Content-Type", "application/json")
	out.WriteHeader(status)
	out.Write(append(text, '\n'))
}

// decode reads the request; no body at all is an empty one.
func decode(in *json.Decoder, into interface{}) error {
	if err := in.Decode(into); err != nil && err != io.EOF {
		return err
	}
	return nil
}

func (w *world) wantVM(name string) (*VM, error) {
	if vm := w.find(name); vm != nil {
		return vm, nil
	}
	return nil, fmt.Errorf("vm '%s': %w", name, errNotFound)
}

func (w *world) wantDisk(name string, key int32) (*VM, *disk, error) {
	vm, err := w.wantVM(name)
	if err != nil {
		return nil, nil, err
	}
	if d := vm.disk(key); d != nil {
		return vm, d, nil
	}
	return nil, nil, fmt.Errorf("disk %d of '%s': %w", key, name, errNotFound)
}

// serveContents is the witness: the raw bytes of a disk now, or at the moment of a snapshot that may be gone.
func (w *world) serveContents(out http.ResponseWriter, in *http.Request) {
	query := in.URL.Query()
	w.mu.Lock()
	body, err := w.contents(query)
	w.mu.Unlock()
	if err != nil {
		status := http.StatusBadRequest
		if errors.Is(err, errNotFound) {
			status = http.StatusNotFound
		}
		answerJSON(out, status, map[string]string{"error": err.Error()})
		return
	}
	serveContent(out, in, body, -1, func(int64) {})
}

func (w *world) contents(query url.Values) (content, error) {
	var key int32
	if _, err := fmt.Sscan(query.Get("key"), &key); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	name := query.Get("snapshot")
	if name == "" {
		_, d, err := w.wantDisk(query.Get("vm"), key)
		if err != nil {
			return nil, err
		}
		return &image{world: w, volume: d.volume, view: d.live.view(), moving: true}, nil
	}
	vm, err := w.wantVM(query.Get("vm"))
	if err != nil {
		return nil, err
	}
	for _, f := range vm.history[name] {
		if f.disk.Key == key && !f.excluded {
			return &image{world: w, volume: f.disk.volume, view: f.view}, nil
		}
	}
	return nil, fmt.Errorf("disk %d of '%s' in snapshot '%s': %w", key, vm.Name, name, errNotFound)
}

type diskState struct {
	Key       int32    `json:"key"`
	UUID      string   `json:"uuid"`
	Label     string   `json:"label"`
	File      string   `json:"file"`
	Size      int64    `json:"size"`
	ChangeID  string   `json:"change_id"`
	Chain     []string `json:"chain"`
	Grains    int      `json:"grains_written"`
	Protected bool     `json:"in_snapshots"`
}

type snapshotState struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Moref       string `json:"moref"`
	Quiesced    bool   `json:"quiesced"`
}

type vmState struct {
	Name                string          `json:"name"`
	Moref               string          `json:"moref"`
	InstanceUUID        string          `json:"instance_uuid"`
	Power               string          `json:"power"`
	Snapshots           []snapshotState `json:"snapshots"`
	ConsolidationNeeded bool            `json:"consolidation_needed"`
	CBT                 bool            `json:"cbt"`
	Busy                bool            `json:"busy"`
	Disks               []diskState     `json:"disks"`
}

type worldState struct {
	Sessions     int            `json:"sessions"`
	Logins       int            `json:"logins"`
	FailedLogins int            `json:"failed_logins"`
	Logouts      int            `json:"logouts"`
	VMs          []vmState      `json:"vms"`
	Requests     map[string]int `json:"requests"`
	Folder       folderState    `json:"folder"`
	Settings     settings       `json:"settings"`
	FaultsLeft   int            `json:"faults_left"`
}

type folderState struct {
	Requests int                  `json:"requests"`
	Bytes    int64                `json:"bytes"`
	Most     int                  `json:"most_at_once"`
	ByFile   map[string]fileCount `json:"by_file"`
}

// state copies what a test may want to know.  Needs the mutex.
func (w *world) state() worldState {
	s := worldState{Sessions: len(w.sessions), Logins: w.counters.logins, FailedLogins: w.counters.failedLogins,
		Logouts: w.counters.logouts, VMs: []vmState{}, Requests: map[string]int{}, Settings: w.settings, FaultsLeft: len(w.faults),
		Folder: folderState{w.counters.folderRequests, w.counters.folderBytes, w.counters.folderMost, map[string]fileCount{}}}
	for name, n := range w.counters.requests {
		s.Requests[name] = n
	}
	for name, c := range w.counters.folderByFile {
		s.Folder.ByFile[name] = *c
	}
	for _, vm := range w.vms {
		v := vmState{Name: vm.spec.Name, Moref: vm.Self.Value, InstanceUUID: vm.Config.InstanceUuid, Power: string(vm.power),
			Snapshots: []snapshotState{}, ConsolidationNeeded: vm.needsConsolidation, CBT: vm.cbt, Busy: vm.busy != nil,
			Disks: []diskState{}}
		for _, snap := range vm.snapshots {
			v.Snapshots = append(v.Snapshots, snapshotState{snap.name, snap.description, snap.object.Self.Value, snap.quiesced})
		}
		for _, d := range vm.disks {
			state := diskState{Key: d.Key, UUID: d.UUID, Label: d.Label, File: d.live.path(), Size: d.live.size,
				ChangeID: d.track.changeID(d.volume.era), Grains: len(d.volume.grains), Protected: vm.frozenBySnapshots(d)}
			for l := d.live; l != nil; l = l.parent {
				state.Chain = append(state.Chain, l.path())
			}
			v.Disks = append(v.Disks, state)
		}
		s.VMs = append(s.VMs, v)
	}
	return s
}
