package main

import (
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// Faults that a test orders: for a SOAP method at once, for a task at its end, for reads of datastore files.

const (
	whereMethod = "method"
	whereTask   = "task"
	folderReads = "folder"
)

type fault struct {
	Method   string `json:"method"`
	Fault    string `json:"fault"`
	Where    string `json:"where"`
	Count    *int   `json:"count"` // -1: for ever
	Skip     int    `json:"skip"`  // so many calls pass before
	Message  string `json:"message"`
	Property string `json:"property"`    // of InvalidArgument and the like
	DelayMs  int    `json:"delay_ms"`    // the call takes longer; without fault and status, it then goes on
	Status   int    `json:"status"`      // folder, or a SOAP method that shall end in plain HTTP
	Lose     bool   `json:"lose_answer"` // the call is carried out, the connection ends without an answer
	CutAfter *int64 `json:"cut_after"`   // folder: the connection ends after so many bytes of the body
	File     string `json:"file"`        // folder: only files whose name ends so
}

func (f *fault) check() error {
	if f.Method == "" {
		return fmt.Errorf("method is needed")
	}
	if f.Where == "" {
		f.Where = whereMethod
	}
	if f.Where != whereMethod && f.Where != whereTask {
		return fmt.Errorf("where is method or task")
	}
	if f.Count == nil {
		one := 1
		f.Count = &one
	}
	if f.Fault != "" && f.object() == nil {
		return fmt.Errorf("'%s' is no fault of the API", f.Fault)
	}
	if f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return fmt.Errorf("status is 400 to 599")
	}
	if f.Method == folderReads && f.Status == 0 && f.DelayMs == 0 && f.CutAfter == nil {
		return fmt.Errorf("a folder fault has a status, cut_after or delay_ms")
	}
	if f.Method != folderReads && f.Fault == "" && f.DelayMs == 0 && f.Status == 0 && !f.Lose {
		return fmt.Errorf("fault, status, lose_answer or delay_ms is needed")
	}
	if f.Where == whereTask && f.Fault == "" {
		return fmt.Errorf("a task fault names a fault")
	}
	return nil
}

// object makes the fault as a value of the API; nil when there is no such fault.
func (f *fault) object() types.BaseMethodFault {
	kind, ok := types.TypeFunc()(f.Fault)
	if !ok || kind.Kind() != reflect.Struct {
		return nil
	}
	value := reflect.New(kind)
	if field := value.Elem().FieldByName("InvalidProperty"); field.IsValid() && field.Kind() == reflect.String {
		field.SetString(f.Property)
	}
	object, ok := value.Interface().(types.BaseMethodFault)
	if !ok {
		return nil
	}
	return object
}

// takeFault finds what is ordered for this call and counts it.  Needs the mutex.
func (w *world) takeFault(method, where string) *fault {
	return w.takeFaultIf(func(f *fault) bool { return f.Method == method && f.Where == where })
}

func (w *world) takeFaultIf(wanted func(*fault) bool) *fault {
	for i, f := range w.faults {
		if !wanted(f) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if *f.Count > 0 {
			*f.Count--
		}
		if *f.Count == 0 {
			w.faults = append(w.faults[:i:i], w.faults[i+1:]...)
		}
		return f
	}
	return nil
}

func (f *fault) wait() {
	if f.DelayMs > 0 {
		time.Sleep(time.Duration(f.DelayMs) * time.Millisecond)
	}
}

// answerSOAP ends a call with the ordered fault; false when the call shall go on.
func (f *fault) answerSOAP(out http.ResponseWriter) bool {
	f.wait()
	if f.Status != 0 {
		http.Error(out, f.Message, f.Status)
		return true
	}
	if f.Fault == "" {
		return false
	}
	writeFault(out, f.Fault, f.Message, f.Property)
	return true
}
