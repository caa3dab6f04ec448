// Package demo holds the demo: one day of posts about three invented brands,
// the people who answer them, and an answered backlog. It also holds the
// starter templates and playbooks, with which real installations begin too.
//
// Everything is data written by hand and embedded. The package reads it and
// does nothing with it. Whatever fails to load is a programming mistake that
// the tests find; the errors are there so that nothing can be lost in silence.
package demo

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"iter"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/earshot/earshot/pkg/casework"
	"github.com/earshot/earshot/pkg/identity"
	"github.com/earshot/earshot/pkg/mention"
)

//go:embed posts.jsonl *.yaml media/*.svg
var files embed.FS

// MediaPath is the URL path under which posts expect the files of [Media].
const MediaPath = "/sandbox/media/"

// Media holds the pictures of the posts, SVG files at its root.
func Media() fs.FS {
	sub, err := fs.Sub(files, "media")
	if err != nil {
		panic(err) // only for an invalid path
	}
	return sub
}

// Brand is one of the invented brands.
type Brand struct {
	ID       string              `yaml:"id"`
	Name     string              `yaml:"name"`
	Names    map[string]string   `yaml:"names"` // by language
	About    map[string]string   `yaml:"about"` // by language
	Query    string              `yaml:"query"` // see pkg/query
	Lang     string              `yaml:"lang"`
	TimeZone string              `yaml:"time_zone"` // IANA name
	Hours    map[string][]string `yaml:"hours"`     // by weekday, mon to sun: spans like 09:00-19:00
	Voice    map[string]string   `yaml:"voice"`     // by language
	Places   []mention.Place     `yaml:"places"`
}

// Brands returns the invented brands.
func Brands() ([]Brand, error) {
	f, err := decode[struct {
		Brands []Brand `yaml:"brands"`
	}]("brands.yaml")
	return f.Brands, err
}

// Person is a member of the invented staff.
type Person struct {
	ID         string            `yaml:"id"`
	Email      string            `yaml:"email"`
	Name       map[string]string `yaml:"name"`        // by language; for colleagues
	PublicName map[string]string `yaml:"public_name"` // by language; for customers
	Lang       string            `yaml:"lang"`        // of the person's desk
	Grants     []identity.Grant  `yaml:"grants"`
	Trained    bool              `yaml:"trained"` // may answer praise and plain questions freely
}

// Account returns p as the setting that lets them sign in, with the names of
// the person's own language.
func (p Person) Account() identity.Staff {
	return identity.Staff{
		ID: p.ID, Email: p.Email, Name: p.Name[p.Lang], PublicName: p.PublicName[p.Lang],
		Lang: p.Lang, Grants: p.Grants, Trained: p.Trained,
	}
}

// Staff returns the invented staff: two agents, then an approver, a PR lead,
// somebody from product and an administrator.
func Staff() ([]Person, error) {
	f, err := decode[struct {
		Staff []Person `yaml:"staff"`
	}]("staff.yaml")
	return f.Staff, err
}

// Team is a department that cases are handed to.
type Team struct {
	ID      string            `yaml:"id"`
	Names   map[string]string `yaml:"names"`   // by language
	Members []string          `yaml:"members"` // ids of [Staff]
}

// Teams returns the departments.
func Teams() ([]Team, error) {
	f, err := decode[struct {
		Teams []Team `yaml:"teams"`
	}]("teams.yaml")
	return f.Teams, err
}

// Templates returns the starter set of reply templates, each approved and in
// its first version.
func Templates() ([]casework.Template, error) {
	f, err := decode[struct {
		Templates []struct {
			ID        string                  `yaml:"id"`
			Name      string                  `yaml:"name"`
			Lang      string                  `yaml:"lang"`
			Status    casework.TemplateStatus `yaml:"status"`
			Version   int                     `yaml:"version"`
			Kind      casework.ReplyKind      `yaml:"kind"`
			Intents   []mention.Intent        `yaml:"intents"`
			Risks     []mention.Category      `yaml:"risks"`
			Apology   casework.Apology        `yaml:"apology"`
			When      string                  `yaml:"when_to_use"`
			Platforms []string                `yaml:"platforms"`
			Body      string                  `yaml:"body"`
			Slots     []casework.Slot         `yaml:"slots"`
		} `yaml:"templates"`
	}]("templates.yaml")
	var all []casework.Template
	for _, t := range f.Templates {
		all = append(all, casework.Template{
			ID: t.ID, Name: t.Name, Lang: t.Lang, Platforms: t.Platforms,
			Intents: t.Intents, Risks: t.Risks, When: t.When,
			Versions: []casework.TemplateVersion{{
				N: t.Version, Body: t.Body, Slots: t.Slots, Apology: t.Apology,
				Kind: t.Kind, Status: t.Status,
			}},
		})
	}
	return all, err
}

// Answers returns answers that the invented brands have agreed on.
func Answers() ([]casework.AgreedAnswer, error) {
	f, err := decode[struct {
		Answers []casework.AgreedAnswer `yaml:"answers"`
	}]("answers.yaml")
	return f.Answers, err
}

// Playbooks returns the starter set of playbooks.
func Playbooks() ([]casework.Playbook, error) {
	f, err := decode[struct {
		Playbooks []casework.Playbook `yaml:"playbooks"`
	}]("playbooks.yaml")
	return f.Playbooks, err
}

// Post is one post of the demo day.
type Post struct {
	// Offset is how long before "now" it was published.
	Offset time.Duration
	// Brand is the brand of the source that brought it, where a source is
	// bound to one: review pages and contact notes. Elsewhere it is empty and
	// the brands' queries decide.
	Brand string
	// CopyOf is the native id of the post that this one repeats, word for word
	// or nearly so.
	CopyOf string
	// Expect is how its author labelled it. Only tests look at it.
	Expect Expect

	Post mention.Post // without its times
}

// At returns the post as published Offset before now.
func (p Post) At(now time.Time) mention.Post {
	post := p.Post
	post.PublishedAt = now.Add(-p.Offset)
	return post
}

// Expect is the label that the author of a post gave it. Brands and Lang are
// always set; an empty Intent says that the rest was left open.
type Expect struct {
	Brands      []string            `json:"brands"`
	Lang        string              `json:"lang"`
	Intent      mention.Intent      `json:"intent"`
	Sentiment   mention.Sentiment   `json:"sentiment"` // empty: left open
	Disposition mention.Disposition `json:"disposition"`
	Risk        []mention.Category  `json:"risk"`
	Rung        mention.Rung        `json:"rung"`
	Page        bool                `json:"page"`
}

// Posts yields the demo day, oldest first. It stops at the first error.
func Posts() iter.Seq2[Post, error] {
	return func(yield func(Post, error) bool) {
		raw, err := files.ReadFile("posts.jsonl")
		if err != nil {
			yield(Post{}, err)
			return
		}
		n := 0
		for line := range bytes.Lines(raw) {
			n++
			p, err := parse(line)
			if err != nil {
				yield(Post{}, fmt.Errorf("posts.jsonl: line %d: %w", n, err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func parse(line []byte) (Post, error) {
	// Author, Place and the like have no tags: their names are the keys, in
	// lower case.
	var in struct {
		OffsetS  int64           `json:"offset_s"`
		Platform string          `json:"platform"`
		NativeID string          `json:"native_id"`
		Kind     mention.Kind    `json:"kind"`
		URL      string          `json:"url"`
		Author   mention.Author  `json:"author"`
		Title    string          `json:"title"`
		Text     string          `json:"text"`
		Lang     string          `json:"lang"`
		Rating   int             `json:"rating"`
		Place    mention.Place   `json:"place"`
		Media    []mention.Media `json:"media"`
		Thread   struct {
			ID           string `json:"id"`
			Parent       string `json:"parent"`
			ParentAuthor string `json:"parent_author"`
			ParentText   string `json:"parent_text"`
		} `json:"thread"`
		Metrics mention.Metrics `json:"metrics"`
		Brand   string          `json:"brand"`
		CopyOf  string          `json:"copy_of"`
		Expect  Expect          `json:"expect"`
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return Post{}, err
	}
	intake := mention.Live
	if in.Kind == mention.KindNote {
		intake = mention.Noted
	}
	return Post{
		Offset: time.Duration(in.OffsetS) * time.Second,
		Brand:  in.Brand, CopyOf: in.CopyOf, Expect: in.Expect,
		Post: mention.Post{
			Platform: in.Platform, NativeID: in.NativeID, Kind: in.Kind, Intake: intake,
			URL: in.URL, Author: in.Author, Title: in.Title, Text: in.Text, Lang: in.Lang,
			Rating: in.Rating, Place: in.Place, Media: in.Media,
			Thread: mention.Thread(in.Thread), Metrics: in.Metrics,
		},
	}, nil
}

// decode reads one embedded YAML file, strictly.
func decode[T any](name string) (T, error) {
	var v T
	raw, err := files.ReadFile(name)
	if err != nil {
		return v, err
	}
	if err := yaml.UnmarshalWithOptions(raw, &v, yaml.Strict()); err != nil {
		return v, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}
