package desk

import (
	"github.com/earshot/earshot/pkg/identity"
)

// routes is the table of everything the desk answers, and of who may use it.
// A test walks it with every role.
func (d *Desk) routes() []route {
	const (
		view, comment, handle  = identity.View, identity.Comment, identity.Handle
		send, approve          = identity.Send, identity.Approve
		word, configure        = identity.Word, identity.Configure
		manage, pages, bringIn = identity.Manage, identity.Page, identity.Intake
		quality                = identity.Quality
	)
	return []route{
		{"GET /{$}", "", false, (*call).home},
		{"GET /sign-in", "", true, (*call).signIn},
		{"POST /sign-in", "", true, (*call).doSignIn},
		{"POST /sign-out", "", true, (*call).signOut},
		{"GET /setup/{secret}", "", true, (*call).setup},
		{"POST /setup/{secret}", "", true, (*call).doSetup},
		{"GET /welcome/{staff}/{secret}", "", true, (*call).welcome},
		{"POST /welcome/{staff}/{secret}", "", true, (*call).doWelcome},
		{"GET /me", "", false, (*call).me},
		{"POST /me", "", false, (*call).saveMe},
		{"POST /me/password", "", false, (*call).changePassword},
		{"POST /me/sign-out-everywhere", "", false, (*call).signOutEverywhere},

		{"GET /queue", view, false, (*call).queue},
		{"GET /events", view, false, (*call).events},
		{"GET /cases/{id}", view, false, (*call).caseAlone},
		{"GET /cases/{id}/media/{n}", view, false, (*call).media},
		{"GET /cases/{id}/avatar", view, false, (*call).avatar},
		{"GET /cases/{id}/files/{key}", view, false, (*call).file},
		{"GET /cases/{id}/ask/{what}", view, false, (*call).ask},
		{"POST /cases/{id}/present", view, false, (*call).signOfLife},
		{"POST /cases/{id}/claim", handle, false, (*call).claim},
		{"POST /cases/{id}/release", handle, false, (*call).release},
		{"POST /cases/{id}/fill", handle, false, (*call).fillReply},
		{"POST /cases/{id}/preview", handle, false, (*call).previewReply},
		{"POST /cases/{id}/draft", handle, false, (*call).saveDraft},
		{"POST /cases/{id}/check", handle, false, (*call).checkReply},
		{"POST /cases/{id}/submit", handle, false, (*call).submitReply},
		{"POST /cases/{id}/approve", approve, false, (*call).approveReply},
		{"POST /cases/{id}/send-back", approve, false, (*call).sendBack},
		{"POST /cases/{id}/send", send, false, (*call).sendReply},
		{"POST /cases/{id}/stop", send, false, (*call).stopReply},
		{"POST /cases/{id}/by-hand", send, false, (*call).takeReply},
		{"POST /cases/{id}/posted", send, false, (*call).postedReply},
		{"POST /cases/{id}/settle", send, false, (*call).settleReply},
		{"POST /cases/{id}/note", comment, false, (*call).addNote},
		{"POST /cases/{id}/escalate", comment, false, (*call).escalate},
		{"POST /cases/{id}/hand-over", handle, false, (*call).handOver},
		{"POST /cases/{id}/return", handle, false, (*call).bringBack},
		{"POST /cases/{id}/snooze", handle, false, (*call).snooze},
		{"POST /cases/{id}/watch", handle, false, (*call).watch},
		{"POST /cases/{id}/exclude", handle, false, (*call).exclude},
		{"POST /cases/{id}/close", handle, false, (*call).closeCase},
		{"POST /cases/{id}/reopen", handle, false, (*call).reopen},
		{"GET /cases/{id}/labels", handle, false, (*call).labels},
		{"POST /cases/{id}/judge", handle, false, (*call).saveLabels},
		{"POST /cases/{id}/unjudge", handle, false, (*call).unjudge},
		{"POST /cases/{id}/merge", handle, false, (*call).merge},

		{"GET /escalations", view, false, (*call).escalations},
		{"GET /escalations/{id}", view, false, (*call).escalation},
		{"POST /escalations/{id}/acknowledge", view, false, (*call).acknowledgeHere},
		{"POST /escalations/{id}/wrong", view, false, (*call).wrongHere},
		{"POST /escalations/{id}/resolve", pages, false, (*call).resolveEscalation},
		{"GET /ack/{token}", "", true, (*call).acknowledge},
		{"POST /ack/{token}", "", true, (*call).doAcknowledge},
		{"POST /ack/{token}/wrong", "", true, (*call).doWrong},

		{"GET /quality", quality, false, (*call).quality},
		{"GET /quality/cases", quality, false, (*call).qualityCases},

		{"GET /note", comment, false, (*call).note},
		{"POST /note", comment, false, (*call).saveNote},
		{"GET /sandbox", view, false, (*call).sandbox},

		{"GET /templates", view, false, (*call).templates},
		{"GET /templates/{id}", view, false, (*call).template},
		{"POST /templates/{id}", word, false, (*call).saveTemplate},
		{"POST /templates/{id}/preview", word, false, (*call).previewTemplate},
		{"POST /templates/{id}/submit", word, false, (*call).submitTemplate},
		{"POST /templates/{id}/approve", word, false, (*call).approveTemplate},
		{"POST /templates/{id}/send-back", word, false, (*call).sendBackTemplate},
		{"POST /templates/{id}/retire", word, false, (*call).retireTemplate},

		{"GET /brands", view, false, (*call).brands},
		{"GET /brands/{id}", view, false, (*call).brand},
		{"POST /brands/{id}", configure, false, (*call).saveBrand},
		{"POST /brands/{id}/preview", configure, false, (*call).previewBrand},
		{"GET /sources", view, false, (*call).sources},
		{"GET /sources/{id}", configure, false, (*call).sourceForm},
		{"POST /sources/{id}", configure, false, (*call).saveSource},
		{"POST /sources/{id}/try", configure, false, (*call).trySourceNow},
		{"POST /sources/{id}/consent", configure, false, (*call).askConsent},
		{"GET " + consentPath, configure, false, (*call).consented},
		{"GET /notifiers", configure, false, (*call).notifiers},
		{"GET /notifiers/{id}", configure, false, (*call).notifierForm},
		{"POST /notifiers/{id}", configure, false, (*call).saveNotifier},
		{"GET /dead", configure, false, (*call).dead},
		{"POST /dead/{id}/retry", configure, false, (*call).retryDead},
		{"POST /dead/{id}/drop", configure, false, (*call).dropDead},
		{"GET /rules", view, false, (*call).rules},
		{"GET /rules/{kind}/{id}", view, false, (*call).rule},
		{"POST /rules/{kind}/{id}", comment, false, (*call).saveRule},
		{"POST /rules/{kind}/{id}/remove", comment, false, (*call).removeRule},
		{"GET /staff", manage, false, (*call).people},
		{"GET /staff/{id}", manage, false, (*call).person},
		{"POST /staff/{id}", manage, false, (*call).savePerson},
		{"POST /staff/{id}/link", manage, false, (*call).linkPerson},
		{"GET /tokens/new", manage, false, (*call).newToken},
		{"POST /tokens/new", manage, false, (*call).makeToken},
		{"POST /tokens/{id}/revoke", manage, false, (*call).revokeToken},

		{"GET /api/v1/openapi.yaml", "", true, (*call).openAPI},
		{"GET /api/v1/mentions", view, false, (*call).apiMentions},
		{"POST /api/v1/mentions", bringIn, false, (*call).apiIntake},
		{"GET /api/v1/counts", view, false, (*call).apiCounts},
		{"GET /api/v1/sources", view, false, (*call).apiSources},
		{"GET /api/v1/events", view, false, (*call).events},
		{"GET /api/v1/cases/{id}", view, false, (*call).apiCase},
		{"POST /api/v1/cases/{id}/{command}", comment, false, (*call).apiCommand},
	}
}
