package main

import (
	"bytes"
	"strings"
	"testing"
)

// The figures mean nothing here: the test is that every part comes to an end
// and prints its lines.
func TestBenchPrintsItsParts(t *testing.T) {
	t.Setenv(asProgram, "1") // the bench starts the program anew
	for part, lines := range map[string][]string{
		"start":   {"start to first page, empty", "memory idle, empty"},
		"listen":  {"listening to 2000 /s for 10000 words", "posts lost and read twice"},
		"tagged":  {"U: ", "intake to tagged"},
		"visible": {"U: ", "intake to visible"},
		"queue":   {"queue: index", "queue: page", "queue, searched for 返金: page", "queue page, 50 people", "case page, 50 people", "board, 50 people"},
	} {
		t.Run(part, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"bench", "--quick", "--mentions", "2000", "--only", part}, nil, &out, &errs); code != 0 {
				t.Fatalf("exit status %d: %s", code, &errs)
			}
			for _, line := range lines {
				if !strings.Contains(out.String(), line) {
					t.Errorf("no line %q in\n%s", line, &out)
				}
			}
		})
	}
}

func TestBenchRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, args := range [][]string{{"bench", "--only", "everything"}, {"bench", "--mentions", "3"}, {"bench", "file"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), args, nil, &out, &errs); code != 2 {
			t.Errorf("%v: exit status %d, want 2: %s", args, code, &errs)
		}
	}
}
