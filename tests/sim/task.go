package main

import (
	"fmt"
	"reflect"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Task is a task that takes its time: queued, running with progress, then done.  The work itself happens at one moment,
// at the end, with the world's mutex held.
type Task struct {
	mo.Task

	world *world
}

// Lock and Unlock: see VM.
func (t *Task) Lock()   { t.world.mu.Lock() }
func (t *Task) Unlock() { t.world.mu.Unlock() }

// CancelTask is refused: none of the tasks here can be cancelled.
func (t *Task) CancelTask(*types.CancelTask) soap.HasFault {
	return &methods.CancelTaskBody{Fault_: simulator.Fault("the task cannot be cancelled", &types.NotSupported{})}
}

func (t *Task) update(changes ...types.PropertyChange) { simulator.Map.Update(t, changes) }

// start runs work as a task of the VM; the caller holds the mutex.  A VM does one such task at a time.
func (vm *VM) start(method string, entity types.ManagedObjectReference,
	work func() (types.AnyType, types.BaseMethodFault)) (types.ManagedObjectReference, *soap.Fault) {
	if vm.busy != nil {
		return types.ManagedObjectReference{}, simulator.Fault("another task is already in progress",
			&types.TaskInProgress{Task: vm.busy.Self})
	}
	w := vm.world
	t := &Task{world: w}
	t.Self = types.ManagedObjectReference{Type: "Task", Value: w.newMoref("task")}
	t.Info = types.TaskInfo{Key: t.Self.Value, Task: t.Self, Name: method, DescriptionId: "VirtualMachine." + method, Entity: &entity,
		EntityName: vm.Name, State: types.TaskInfoStateQueued, QueueTime: time.Now().UTC(),
		Reason: &types.TaskReasonUser{UserName: w.spec.User}}
	simulator.Map.Put(t)
	injected := w.takeFault(method, whereTask)
	finish := func() { t.finish(injected, work) }
	if keep := w.settings.TaskKeepMs; keep > 0 {
		time.AfterFunc(time.Duration(keep+w.settings.TaskDelayMs)*time.Millisecond, func() { simulator.Map.Remove(t.Self) })
	}
	delay := time.Duration(w.settings.TaskDelayMs) * time.Millisecond
	if delay == 0 {
		finish()
		return t.Self, nil
	}
	vm.busy = t
	go func() {
		time.Sleep(delay / 5)
		for progress := int32(0); progress < 4; progress++ {
			now := time.Now().UTC()
			w.mu.Lock()
			t.update(types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateRunning},
				types.PropertyChange{Name: "info.startTime", Val: now},
				types.PropertyChange{Name: "info.progress", Val: progress * 25})
			w.mu.Unlock()
			time.Sleep(delay / 5)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		vm.busy = nil
		finish()
	}()
	return t.Self, nil
}

func (t *Task) finish(injected *fault, work func() (types.AnyType, types.BaseMethodFault)) {
	var result types.AnyType
	var failed types.BaseMethodFault
	message := ""
	if injected != nil {
		failed, message = injected.object(), injected.Message
	} else {
		result, failed = work()
	}
	changes := []types.PropertyChange{{Name: "info.completeTime", Val: time.Now().UTC()}}
	if failed != nil {
		if message == "" {
			message = fmt.Sprintf("the task failed: %s", reflect.TypeOf(failed).Elem().Name())
		}
		changes = append(changes, types.PropertyChange{Name: "info.error",
			Val: types.LocalizedMethodFault{Fault: failed, LocalizedMessage: message}},
			types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateError})
	} else {
		if result != nil {
			changes = append(changes, types.PropertyChange{Name: "info.result", Val: result})
		}
		changes = append(changes, types.PropertyChange{Name: "info.progress", Val: int32(100)},
			types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateSuccess})
	}
	t.update(changes...)
}
