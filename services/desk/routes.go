package desk

import (
	"maps"
	"net/http"
	"slices"

	"github.com/earshot/earshot/pkg/identity"
)

// routes is the table of everything the desk answers, and of the right that each
// answer wants. A test walks it with every role and scope.
func (d *Desk) routes() []route {
	const (
		view, comment, handle  = identity.View, identity.Comment, identity.Handle
		send, approve          = identity.Send, identity.Approve
		word, configure        = identity.Word, identity.Configure
		manage, pages, bringIn = identity.Manage, identity.Page, identity.Intake
		quality, export        = identity.Quality, identity.Export
		anyone, self           = identity.Anyone, identity.Self
	)
	all := []route{
		{"GET /{$}", self, (*call).home},
		{"GET /sign-in", anyone, (*call).signIn},
		{"POST /sign-in", anyone, (*call).doSignIn},
		{"POST /sign-in/code", anyone, (*call).doSignInCode},
		{"GET " + openIDPath, anyone, (*call).toProvider},
		{"GET " + openIDPath + "/callback", anyone, (*call).fromProvider},
		{"POST /sign-out", anyone, (*call).signOut},
		{"GET /setup/{secret}", anyone, (*call).setup},
		{"POST /setup/{secret}", anyone, (*call).doSetup},
		{"GET /welcome/{staff}/{secret}", anyone, (*call).welcome},
		{"POST /welcome/{staff}/{secret}", anyone, (*call).doWelcome},
		{"GET /invitation/{id}/{secret}", anyone, (*call).invited},
		{"POST /invitation/{id}/{secret}", anyone, (*call).acceptInvitation},
		{"GET /me", self, (*call).me},
		{"POST /me", self, (*call).saveMe},
		{"POST /me/password", self, (*call).changePassword},
		{"POST /me/sign-out-everywhere", self, (*call).signOutEverywhere},
		{"GET " + secondPath, self, (*call).second},
		{"POST " + secondPath, self, (*call).setSecond},
		{"POST " + secondPath + "/recovery", self, (*call).renewRecovery},
		{"POST " + secondPath + "/drop", self, (*call).dropSecond},
		{"GET /me/places", self, (*call).places},
		{"POST /me/places/{id}/end", self, (*call).endPlace},

		{"GET /queue", view, (*call).queue},
		{"GET /board", view, (*call).board},
		{"GET /shift", view, (*call).shift},
		{"POST /shift", comment, (*call).saveShift},
		{"POST /shift/{id}/confirm", comment, (*call).takeShift},
		{"GET /views", view, (*call).views},
		{"POST /views/{id}", view, (*call).saveView},
		{"POST /bulk", handle, (*call).bulk},
		{"GET /events", view, (*call).events},
		{"GET /cases/{id}", view, (*call).caseAlone},
		{"GET /cases/{id}/media/{n}", view, (*call).media},
		{"GET /cases/{id}/avatar", view, (*call).avatar},
		{"GET /cases/{id}/files/{key}", comment, (*call).file},
		{"GET /cases/{id}/ask/{what}", view, (*call).ask},
		{"POST /cases/{id}/present", view, (*call).signOfLife},
		{"POST /cases/{id}/marks", view, (*call).setMarks},
		{"POST /cases/{id}/claim", handle, (*call).claim},
		{"POST /cases/{id}/release", handle, (*call).release},
		{"POST /cases/{id}/fill", handle, (*call).fillReply},
		{"POST /cases/{id}/preview", handle, (*call).previewReply},
		{"POST /cases/{id}/draft", handle, (*call).saveDraft},
		{"POST /cases/{id}/check", handle, (*call).checkReply},
		{"POST /cases/{id}/submit", handle, (*call).submitReply},
		{"POST /cases/{id}/approve", approve, (*call).approveReply},
		{"POST /cases/{id}/send-back", approve, (*call).sendBack},
		{"POST /cases/{id}/send", send, (*call).sendReply},
		{"POST /cases/{id}/stop", send, (*call).stopReply},
		{"POST /cases/{id}/by-hand", send, (*call).takeReply},
		{"POST /cases/{id}/hasten", send, (*call).hasten},
		{"GET /cases/{id}/pick", handle, (*call).pick},
		{"POST /cases/{id}/tick", handle, (*call).tick},
		{"POST /cases/{id}/facts", handle, (*call).facts},
		{"POST /cases/{id}/measure", handle, (*call).measure},
		{"POST /cases/{id}/finish", comment, (*call).finish},
		{"POST /cases/{id}/harassment", identity.Lead, (*call).harassment},
		{"POST /cases/{id}/review", approve, (*call).review},
		{"POST /cases/{id}/wish", comment, (*call).addWish},
		{"POST /cases/{id}/unwish", comment, (*call).dropWish},
		{"POST /cases/{id}/posted", send, (*call).postedReply},
		{"POST /cases/{id}/settle", send, (*call).settleReply},
		{"POST /cases/{id}/note", comment, (*call).addNote},
		{"POST /cases/{id}/escalate", comment, (*call).escalate},
		{"POST /cases/{id}/hand-over", handle, (*call).handOver},
		{"POST /cases/{id}/return", handle, (*call).bringBack},
		{"POST /cases/{id}/undo", handle, (*call).undo},
		{"POST /cases/{id}/assign", handle, (*call).assign},
		{"POST /cases/{id}/pass", handle, (*call).passOn},
		{"POST /cases/{id}/tag", handle, (*call).retag},
		{"POST /cases/{id}/promise", handle, (*call).promiseByHand},
		{"POST /cases/{id}/kept", handle, (*call).keepPromise},
		{"POST /cases/{id}/unpromise", handle, (*call).endPromise},
		{"POST /cases/{id}/reveal", identity.Reveal, (*call).reveal},
		{"POST /cases/{id}/link", handle, (*call).link},
		{"POST /cases/{id}/unlink", handle, (*call).unlink},
		{"GET /cases/{id}/leave-out", handle, (*call).proposeLeaveOut},
		{"POST /cases/{id}/leave-out", handle, (*call).leaveOut},
		{"POST /exclusions/{id}", configure, (*call).decideExclusion},
		{"POST /cases/{id}/snooze", handle, (*call).snooze},
		{"POST /cases/{id}/watch", handle, (*call).watch},
		{"POST /cases/{id}/exclude", handle, (*call).exclude},
		{"POST /cases/{id}/close", handle, (*call).closeCase},
		{"POST /cases/{id}/reopen", handle, (*call).reopen},
		{"GET /cases/{id}/labels", handle, (*call).labels},
		{"POST /cases/{id}/judge", handle, (*call).saveLabels},
		{"POST /cases/{id}/unjudge", handle, (*call).unjudge},
		{"POST /cases/{id}/merge", handle, (*call).merge},

		{"GET /escalations", view, (*call).escalations},
		{"GET /escalations/{id}", view, (*call).escalation},
		{"POST /escalations/{id}/acknowledge", comment, (*call).acknowledgeHere},
		{"POST /escalations/{id}/wrong", comment, (*call).wrongHere},
		{"POST /escalations/{id}/resolve", pages, (*call).resolveEscalation},
		{"GET /ack/{token}", anyone, (*call).acknowledge},
		{"POST /ack/{token}", anyone, (*call).doAcknowledge},
		{"POST /ack/{token}/wrong", anyone, (*call).doWrong},

		{"GET /outbox", view, (*call).outbox},
		{"POST /stops", pages, (*call).stopReplies},
		{"POST /stops/{id}/release", pages, (*call).releaseReplies},
		{"GET /wishes", view, (*call).wishes},
		{"GET /wishes/{id}", view, (*call).wish},
		{"POST /wishes/{id}", comment, (*call).saveWish},
		{"POST /wishes/{id}/merge", comment, (*call).mergeWish},
		{"GET /wishes/{id}/mentions.csv", export, (*call).wishCSV},

		{"GET /quality", quality, (*call).quality},
		{"GET /quality/cases", quality, (*call).qualityCases},

		{"GET /notices", view, (*call).notices},
		{"GET /notices/{id}", view, (*call).notice},
		{"POST /notices/read", view, (*call).readNotices},
		{"GET /figures", view, (*call).figuresPage},
		{"POST /figures/export", export, (*call).exportFigures},
		{"POST /figures/history", identity.Lead, (*call).exportHistory},
		{"GET /note", comment, (*call).note},
		{"POST /note/check", comment, (*call).heard},
		{"POST /note", comment, (*call).saveNote},
		{"GET /sandbox", view, (*call).sandbox},

		{"GET /templates", view, (*call).templates},
		{"GET /templates.yaml", export, (*call).exportTemplates},
		{"GET /templates/import", word, (*call).importForm},
		{"POST /templates/import", word, (*call).importTemplates},
		{"GET /templates/{id}", view, (*call).template},
		{"POST /templates/{id}", word, (*call).saveTemplate},
		{"POST /templates/{id}/preview", word, (*call).previewTemplate},
		{"POST /templates/{id}/submit", word, (*call).submitTemplate},
		{"POST /templates/{id}/approve", word, (*call).approveTemplate},
		{"POST /templates/{id}/send-back", word, (*call).sendBackTemplate},
		{"POST /templates/{id}/retire", word, (*call).retireTemplate},

		{"GET /brands", view, (*call).brands},
		{"GET /brands/{id}", view, (*call).brand},
		{"POST /brands/{id}", configure, (*call).saveBrand},
		{"POST /brands/{id}/preview", configure, (*call).previewBrand},
		{"GET /sources", view, (*call).sources},
		{"GET /sources/{id}", configure, (*call).sourceForm},
		{"POST /sources/{id}", configure, (*call).saveSource},
		{"POST /sources/{id}/try", configure, (*call).trySourceNow},
		{"POST /sources/{id}/consent", configure, (*call).askConsent},
		{"GET " + consentPath, configure, (*call).consented},
		{"GET /import", bringIn, (*call).newImport},
		{"POST /import", bringIn, (*call).uploadImport},
		{"GET /import/{id}", bringIn, (*call).fileImport},
		{"POST /import/{id}", bringIn, (*call).changeImport},
		{"POST /import/{id}/run", bringIn, (*call).runImport},
		{"POST /import/{id}/drop", bringIn, (*call).dropImported},
		{"GET /notifiers", configure, (*call).notifiers},
		{"GET /notifiers/{id}", configure, (*call).notifierForm},
		{"POST /notifiers/{id}", configure, (*call).saveNotifier},
		{"POST /notifiers/{id}/test", configure, (*call).testNotifier},
		{"GET /dead", configure, (*call).dead},
		{"POST /dead/{id}/retry", configure, (*call).retryDead},
		{"POST /dead/{id}/drop", configure, (*call).dropDead},
		{"GET /rules", view, (*call).rules},
		{"GET /rules/{kind}/{id}", view, (*call).rule},
		{"GET /staff", manage, (*call).people},
		{"GET /staff/{id}", manage, (*call).person},
		{"POST /staff/{id}", manage, (*call).savePerson},
		{"POST /staff/{id}/link", manage, (*call).linkPerson},
		{"POST /staff/{id}/second", manage, (*call).resetSecond},
		{"POST /staff/{id}/unlink", manage, (*call).unlinkPerson},
		{"POST /invitations/{id}/resend", manage, (*call).resendInvitation},
		{"POST /invitations/{id}/revoke", manage, (*call).revokeInvitation},
		{"GET /tokens/new", manage, (*call).newToken},
		{"POST /tokens/new", manage, (*call).makeToken},
		{"POST /tokens/{id}/revoke", manage, (*call).revokeToken},
		{"POST /tokens/{id}/key", manage, (*call).signToken},

		{"GET /api/v1/openapi.yaml", anyone, (*call).openAPI},
		{"GET /api/v1/mentions", view, (*call).apiMentions},
		{intakePattern, bringIn, (*call).apiIntake},
		{"GET /api/v1/counts", view, (*call).apiCounts},
		{"GET /api/v1/sources", view, (*call).apiSources},
		{"GET /api/v1/events", view, (*call).events},
		{"GET /api/v1/cases/{id}", view, (*call).apiCase},
		{"/api/", anyone, (*call).nothing},
		{"/", anyone, (*call).nothing},
	}
	for _, r := range rulings() {
		all = append(all,
			route{"POST /rules/" + r.kind + "/{id}", r.right, func(c *call) error { return c.saveRule(r.kind) }},
			route{"POST /rules/" + r.kind + "/{id}/remove", r.right, func(c *call) error { return c.removeRule(r.kind) }})
	}
	for _, name := range slices.Sorted(maps.Keys(apiCommands)) {
		of := apiCommands[name]
		all = append(all, route{"POST /api/v1/cases/{id}/" + name, needOf(all, "POST /cases/{id}/"+name), func(c *call) error { return c.apiCommand(of) }})
	}
	return all
}

// needOf is the right that a route wants.
func needOf(all []route, pattern string) identity.Action {
	i := slices.IndexFunc(all, func(r route) bool { return r.pattern == pattern })
	if i < 0 {
		return ""
	}
	return all[i].need
}

// needs is the right that a question about a case wants: that of its answer.
func (d *Desk) needs(what string) identity.Action {
	if what == "halt" {
		return identity.Page
	}
	return needOf(d.table, "POST /cases/{id}/"+what)
}

func (c *call) nothing() error { return errNotFound }

// bare are the routes that ask nobody who they are: what pages load, and where
// platforms push, which the connectors check.
func (d *Desk) bare() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{"GET /static/": d.pages.assets.ServeHTTP, "GET /hooks/{source}": d.hook, hookPattern: d.hook}
}
