package query_test

import (
	"fmt"

	"github.com/earshot/earshot/pkg/mention"
	"github.com/earshot/earshot/pkg/query"
)

func ExampleMatcher() {
	acme, err := query.Parse(`(acme OR アクメ) AND NOT "acme dynamite"`)
	if err != nil {
		fmt.Println(err)
		return
	}
	m := query.NewMatcher(map[string]*query.Query{"acme-jp": acme})
	for _, h := range m.Match(&mention.Post{Text: "「ＡＣＭＥの」靴、さすがｱｸﾒ"}, nil) {
		fmt.Println(h.Brand, h.Spans)
	}
	// Output: acme-jp [{acme 1 5} {アクメ 12 15}]
}

func ExampleParse_mistake() {
	_, err := query.Parse("acme from:bot")
	fmt.Println(err)
	// Output: query: at 6: there is no field "from"; did you mean author:bot? Otherwise put it in quotes
}
