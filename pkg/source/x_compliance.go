package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/outbound"
)

// X's batch compliance: a job takes a list of post ids, one a line, and gives a
// list of what has become of some of them, one JSON object a line. An app has
// one job at a time.

// xJobTime and xJobBytes bound one transfer of such a list; a line of the answer
// has some 150 bytes.
const (
	xJobTime  = 5 * time.Minute
	xJobBytes = 64 << 20
)

var xJobID = regexp.MustCompile(`^[0-9]{1,19}$`)

type xJob struct {
	ID       string `json:"id"`
	Status   string `json:"status"` // created, in_progress, complete, failed or expired
	Upload   string `json:"upload_url"`
	Download string `json:"download_url"`
}

// Audits tells whether X goes through what is stored.
func (x *xSource) Audits() bool { return x.cfg.Compliance }

// Audit makes a job of posts, by the newest ids we know.
func (x *xSource) Audit(ctx context.Context, posts []mention.Post) (string, error) {
	var list bytes.Buffer
	seen := map[string]bool{}
	for _, p := range posts {
		if id := cmp.Or(p.ReplyRef, p.NativeID); p.Platform == "x" && xNumber(id) != 0 && !seen[id] {
			seen[id] = true
			list.WriteString(id + "\n")
		}
	}
	var a struct {
		Data xJob `json:"data"`
	}
	if err := x.do(ctx, http.MethodPost, "/2/compliance/jobs", map[string]string{"type": "tweets", "name": "earshot"}, asApp, &a); err != nil {
		return "", x.noJob(err)
	}
	if !xJobID.MatchString(a.Data.ID) || webURL(a.Data.Upload) == "" {
		return "", errors.New("x: compliance: X names no job or no place for the list")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, a.Data.Upload, bytes.NewReader(list.Bytes()))
	if err != nil {
		return "", errors.New("x: compliance: X names no place for the list")
	}
	req.Header.Set("Content-Type", "text/plain")
	if _, err := x.deps.HTTP.Within(xJobTime, xJobBytes).Do(ctx, req); err != nil {
		return "", fmt.Errorf("x: compliance: the list is not taken: %w", err)
	}
	return a.Data.ID, nil
}

// noJob says what to do when X lets this app have no jobs.
func (x *xSource) noJob(err error) error {
	if e, ok := errors.AsType[*outbound.Error](err); ok && (e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized) {
		return NotGranted.refuse("compliance: X does not let this app have batch compliance jobs: ask X for them, or switch compliance off; posts are then read again one by one: %w", err)
	}
	return fmt.Errorf("compliance: %w", err)
}

// Audited reads what X has found.
func (x *xSource) Audited(ctx context.Context, job string) (func(*mention.Post) bool, error) {
	if !xJobID.MatchString(job) {
		return nil, refuse("x: compliance: %q is no job", clip(job, 60))
	}
	var a struct {
		Data xJob `json:"data"`
	}
	if err := x.get(ctx, "/2/compliance/jobs/"+job, url.Values{}, asApp, &a); err != nil {
		if e, ok := errors.AsType[*outbound.Error](err); ok && e.Status == http.StatusNotFound {
			return nil, refuse("x: compliance: X knows the job no more: %w", err)
		}
		return nil, x.later(x.noJob(err))
	}
	switch a.Data.Status {
	case "complete":
	case "failed", "expired":
		return nil, refuse("x: compliance: the job has %s", strings.Replace(a.Data.Status, "failed", "failed at X", 1))
	default:
		return nil, nil
	}
	resp, err := x.deps.HTTP.Within(xJobTime, xJobBytes).Get(ctx, a.Data.Download, nil)
	if err != nil {
		// The address of the result ends after a week.
		return nil, fmt.Errorf("x: compliance: the result is not given: %w", err)
	}
	gone, err := xRedacted(resp.Body)
	if err != nil {
		return nil, err
	}
	return func(p *mention.Post) bool { return gone[cmp.Or(p.ReplyRef, p.NativeID)] || gone[p.NativeID] }, nil
}

// later keeps a job whose state is refused: it isn't lost for that.
func (x *xSource) later(err error) error {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return errors.New("x: " + r.Error())
	}
	return err
}

// xRedacted reads the ids of posts that are to go. That a post's place was taken
// off doesn't concern us, who have none.
func xRedacted(raw []byte) (map[string]bool, error) {
	gone := map[string]bool{}
	for row := range bytes.Lines(raw) {
		if row = bytes.TrimSpace(row); len(row) == 0 {
			continue
		}
		var e struct {
			ID     string `json:"id"`
			Action string `json:"action"`
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal(row, &e); err != nil || xNumber(e.ID) == 0 {
			return nil, fmt.Errorf("x: compliance: the result is not what it should be: %q", clip(string(row), 100))
		}
		if e.Action == "delete" && e.Reason != "scrub_geo" {
			gone[e.ID] = true
		}
	}
	return gone, nil
}
