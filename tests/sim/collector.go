package main

import (
	"fmt"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Collector is the property collector with pages: it answers some objects and a token for the others.  The simulator
// makes one of this type for each session, by type alone, so what it needs stands in package variables.
type Collector struct {
	simulator.PropertyCollector
}

// waiting holds the rest of the answers that were not fetched yet.
var waiting = struct {
	sync.Mutex
	next  int
	rests map[string]rest
}{rests: map[string]rest{}}

type rest struct {
	session string
	objects []types.ObjectContent
	limit   int
}

// theWorld is set once, before the server starts.
var theWorld *world

// RetrievePropertiesEx answers the first page.
func (c *Collector) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	answer := c.PropertyCollector.RetrievePropertiesEx(ctx, req)
	body, ok := answer.(*methods.RetrievePropertiesExBody)
	if !ok || body.Fault_ != nil || body.Res == nil || body.Res.Returnval == nil {
		return answer
	}
	for _, object := range body.Res.Returnval.Objects {
		for _, missing := range object.MissingSet {
			if bad, ok := missing.Fault.Fault.(*types.InvalidProperty); ok {
				return &methods.RetrievePropertiesExBody{Fault_: simulator.Fault("", bad)}
			}
		}
	}
	theWorld.mu.Lock()
	limit := theWorld.settings.PageLimit
	theWorld.mu.Unlock()
	if asked := int(req.Options.MaxObjects); asked > 0 && asked < limit {
		limit = asked
	}
	session := ""
	if ctx.Session != nil {
		session = ctx.Session.Key
	}
	body.Res.Returnval = firstPage(session, body.Res.Returnval.Objects, limit)
	return body
}

// firstPage keeps what does not fit under a new token.
func firstPage(session string, objects []types.ObjectContent, limit int) *types.RetrieveResult {
	if len(objects) == 0 {
		return nil
	}
	result := &types.RetrieveResult{Objects: objects}
	if limit > 0 && len(objects) > limit {
		result.Objects = objects[:limit]
		waiting.Lock()
		waiting.next++
		result.Token = fmt.Sprintf("%d", waiting.next)
		waiting.rests[result.Token] = rest{session, objects[limit:], limit}
		waiting.Unlock()
	}
	return result
}

// takeRest finds what a token stands for; a token is good once, in its session.
func takeRest(ctx *simulator.Context, token string) (rest, *soap.Fault) {
	waiting.Lock()
	defer waiting.Unlock()
	found, ok := waiting.rests[token]
	if !ok || ctx.Session == nil || found.session != ctx.Session.Key {
		return rest{}, simulator.Fault("A specified parameter was not correct: token",
			&types.InvalidArgument{InvalidProperty: "token"})
	}
	delete(waiting.rests, token)
	return found, nil
}

// ContinueRetrievePropertiesEx answers the next page.
func (c *Collector) ContinueRetrievePropertiesEx(ctx *simulator.Context, req *types.ContinueRetrievePropertiesEx) soap.HasFault {
	found, failed := takeRest(ctx, req.Token)
	if failed != nil {
		return &methods.ContinueRetrievePropertiesExBody{Fault_: failed}
	}
	return &methods.ContinueRetrievePropertiesExBody{Res: &types.ContinueRetrievePropertiesExResponse{
		Returnval: *firstPage(found.session, found.objects, found.limit)}}
}

// CancelRetrievePropertiesEx gives up the rest.
func (c *Collector) CancelRetrievePropertiesEx(ctx *simulator.Context, req *types.CancelRetrievePropertiesEx) soap.HasFault {
	if _, failed := takeRest(ctx, req.Token); failed != nil {
		return &methods.CancelRetrievePropertiesExBody{Fault_: failed}
	}
	return &methods.CancelRetrievePropertiesExBody{Res: &types.CancelRetrievePropertiesExResponse{}}
}
