package search

import (
	"net/http"
	"path/filepath"

	"github.com/earshot/earshot/pkg/config"
)

// Deps are what opening an engine needs beside its configuration.
type Deps struct {
	Data   string       // folder of the installation
	Client *http.Client // for an engine behind HTTP; nil is a client of its own
}

// Kinds lists the engines. The first is the default.
var Kinds = []config.Kind[Deps, Engine]{
	config.NewKind("sqlite", "An index within the process, one file. It needs nothing else; indexer and desk then run in one process.",
		sqliteConfig{File: "index.db"}, func(c sqliteConfig, d Deps) (Engine, error) {
			if !filepath.IsAbs(c.File) {
				c.File = filepath.Join(d.Data, c.File)
			}
			return OpenSQLite(c.File)
		}),
	config.NewKind("meilisearch", "A Meilisearch server of version 1.23 or later, for services that run apart.",
		meiliConfig{Index: "mentions"}, func(c meiliConfig, d Deps) (Engine, error) {
			key, err := c.Key.Reveal()
			if err != nil {
				return nil, err
			}
			return OpenMeili(MeiliConfig{URL: c.URL, Key: key, Index: c.Index, Client: d.Client})
		}),
}

type sqliteConfig struct {
	File string `yaml:"file" required:"true" doc:"The file, within the data folder unless absolute."`
}

type meiliConfig struct {
	URL   string        `yaml:"url" required:"true" doc:"Address of the server, such as http://meilisearch:7700."`
	Key   config.Secret `yaml:"key" doc:"API key that may read and write documents, indexes, settings and tasks."`
	Index string        `yaml:"index" required:"true" doc:"Name of the index. Installations that share a server need different ones."`
}
