package source

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestQuotedHistoryIsPartedAndNothingLost(t *testing.T) {
	for _, tt := range []struct{ name, text, own, quoted string }{
		{"none", "Where is it?\nMori", "Where is it?\nMori", ""},
		{"above the former mail", "まだ届きません。\n\n2026年11月19日(木) 10:00 アクメ <help@acme.example>:\n> お調べします。", "まだ届きません。", "2026年11月19日(木) 10:00 アクメ <help@acme.example>:\n> お調べします。"},
		{"an attribution in two lines", "No.\n\nOn Thu, Nov 19, 2026 at 10:00 AM Acme Support\n<help@acme.example> wrote:\n\n> Did it help?", "No.", "On Thu, Nov 19, 2026 at 10:00 AM Acme Support\n<help@acme.example> wrote:\n\n> Did it help?"},
		{"a Japanese Outlook", "写真を添付します。\n\n________________________________\n差出人: アクメ <help@acme.example>\n送信日時: 2026年11月19日 10:00\n宛先: 森\n件名: お問い合わせ\n\n写真をお願いします。", "写真を添付します。", "________________________________\n差出人: アクメ <help@acme.example>\n送信日時: 2026年11月19日 10:00\n宛先: 森\n件名: お問い合わせ\n\n写真をお願いします。"},
		{"a Japanese divider", "了解です。\n\n----- 元のメッセージ -----\n送信者: アクメ\n期限は明日です。", "了解です。", "----- 元のメッセージ -----\n送信者: アクメ\n期限は明日です。"},
		{"between the lines", "> いつ買いましたか。\n昨日です。\n> どこで。\n青葉町店です。", "昨日です。\n青葉町店です。", "> いつ買いましたか。\n> どこで。"},
		{"below the quote", "Kei wrote:\n> Is it broken?\n\nYes.", "Kei wrote:\n\nYes.", "> Is it broken?"},
		{"somebody's words", "森さんが書きました：\n> 壊れた\n\n私もです。", "私もです。", "森さんが書きました：\n> 壊れた"},
		{"nothing but a quote", "> only this", "> only this", ""},
		{"a forwarded mail alone", "-------- Forwarded Message --------\nFrom: x\n\nbad kettle", "-------- Forwarded Message --------\nFrom: x\n\nbad kettle", ""},
		{"a date in a sentence", "2026年11月19日に青葉町店で買いました。\n壊れています。", "2026年11月19日に青葉町店で買いました。\n壊れています。", ""},
		{"From at the start of a sentence", "From: the bottom of my heart, thank you.\nBest, Kei", "From: the bottom of my heart, thank you.\nBest, Kei", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			own, quoted := splitQuoted(tt.text)
			if d := cmp.Diff([]string{tt.own, tt.quoted}, []string{own, quoted}); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestMailsOfMachines(t *testing.T) {
	const from = "From: a@b.example\r\nSubject: s\r\n"
	for head, skip := range map[string]bool{
		"Auto-Submitted: auto-replied\r\n":               true,
		"Auto-Submitted: auto-generated\r\n":             true,
		"Auto-Submitted: no\r\n":                         false,
		"X-Autoreply: yes\r\n":                           true,
		"Precedence: auto_reply\r\n":                     true,
		"Return-Path: <>\r\n":                            true,
		"X-Failed-Recipients: x@y.example\r\n":           true,
		"Content-Type: multipart/report; boundary=x\r\n": true,
		"": false,
		"List-Unsubscribe: <https://x.example/u>\r\n":              false, // but to many
		"X-Auto-Response-Suppress: All\r\n":                        false, // people's Exchange sets it
		"Return-Path: <a@b.example>\r\nPrecedence: normal\r\n":     false,
		"List-Id: <news.b.example>\r\nAuto-Submitted: no\r\n":      false,
		"Precedence: bulk\r\nX-Mailer: a newsletter's\r\n":         false,
		"Content-Type: multipart/mixed; boundary=\"\"\r\nA: b\r\n": false,
	} {
		l, err := readMail(strings.NewReader(from + head + "\r\nHello\r\n"))
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		many := strings.Contains(head, "List-") || strings.Contains(head, "bulk")
		if (l.skip != "") != skip || l.many != many {
			t.Errorf("%q: skip %q, to many %v", head, l.skip, l.many)
		}
	}
}

func TestMailText(t *testing.T) {
	for name, tt := range map[string]struct{ raw, text, title string }{
		"an unknown charset":          {"Subject: =?x-unknown?Q?hi?=\r\nContent-Type: text/plain; charset=x-unknown\r\n\r\nplain enough", "plain enough", "hi"},
		"a charset that is not true":  {"Subject: s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\x1b$B%\"%/%a\x1b(B", "アクメ", "s"},
		"Shift_JIS without a word":    {"Subject: \x83A\x83N\x83\x81\r\n\r\n\x83P\x83g\x83\x8b", "ケトル", "アクメ"},
		"CP932 by its other name":     {"Subject: s\r\nContent-Type: text/plain; charset=cp932\r\n\r\n\x87@\xfb\xfc", "①髙", "s"},
		"a transfer encoding unknown": {"Subject: s\r\nContent-Transfer-Encoding: rot13\r\n\r\nhello", "hello", "s"},
		"HTML without a plain text":   {"Subject: s\r\nContent-Type: text/html\r\n\r\n<p>a<br>b</p><script>x</script>", "a\nb", "s"},
		"cut within an attachment":    {"Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: image/png; name=a.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K", "hello", "s"},
		"ISO-2022-JP in words":        {"Subject: =?ISO-2022-JP?B?GyRCJSIlLyVhGyhC?=\r\n =?iso-2022-jp?B?GyRCJE4bKEI=?=\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\x1b$B%1%H%k\x1b(B ok", "ケトル ok", "アクメの"},
		"ISO-2022-JP without a word":  {"Subject: \x1b$B%\"%/%a\x1b(B\r\n\r\n\x1b$B%1%H%k\x1b(B", "ケトル", "アクメ"},
		"a word that breaks off":      {"Subject: =?iso-2022-jp?B?GyRCJSIlLyVh\r\n\r\nhello", "hello", "=?iso-2022-jp?B?GyRCJSIlLyVh"},
		"an escape that never ends":   {"Subject: s\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B%1%H%k", "ケトル", "s"},
		"UTF-8 called ISO-2022-JP":    {"Subject: s\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\nケトル", "ケトル", "s"},
		"Shift_JIS called UTF-8":      {"Subject: s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\x83P\x83g\x83\x8b", "ケトル", "s"},
		"parts without a boundary":    {"Subject: s\r\nContent-Type: multipart/mixed\r\n\r\nhello", "hello", "s"},
		"another boundary than said":  {"Subject: s\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--b\r\n\r\nhello\r\n--b--", "--b\n\nhello\n--b--", "s"},
		"base64 with noise":           {"Subject: s\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=!!!", "hello", "s"},
		"quoted-printable that isn't": {"Subject: s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n100=% of it", "100=% of it", "s"},
		"a header line that is none":  {"no header at all\r\nSubject: s\r\n\r\nhello", "hello", "s"},
		"direction overrides":         {"Subject: a\u202eb\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\u2066y\x00z", "xyz", "ab"},
	} {
		l, err := readMail(strings.NewReader("From: a@b.example\r\n" + tt.raw))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.post.Text != tt.text || l.post.Title != tt.title {
			t.Errorf("%s: %q, %q, %v", name, l.post.Text, l.post.Title, err)
		}
	}
}

func FuzzMail(f *testing.F) {
	files, err := filepath.Glob("testdata/email/*.eml")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("From: a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n" + strings.Repeat("Content-Type: multipart/mixed; boundary=a\n\n--a\n", 50)))
	f.Add([]byte("From: a\nSubject: " + strings.Repeat("=?utf-8?Q?=?=", 200) + "\n\n" + strings.Repeat("On a wrote:\n>", 300)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		start := time.Now()
		l, err := readMail(bytes.NewReader(raw))
		if took := time.Since(start); took > 5*time.Second+time.Duration(len(raw))*time.Millisecond {
			t.Fatalf("%d bytes took %v", len(raw), took)
		}
		if err != nil {
			return
		}
		p := l.post
		for _, s := range []string{p.NativeID, p.Title, p.Text, p.Author.ID, p.Author.Name, p.Thread.ID, p.Thread.Parent, p.Thread.ParentText} {
			if !utf8.ValidString(s) || strings.ContainsAny(s, "\x00\u202e") {
				t.Fatalf("%q", s)
			}
		}
		if p.NativeID == "" || len(p.NativeID) > 512 || len(p.Media) > maxMedia || len(p.Text) > 4*maxMailText {
			t.Fatalf("%+v", p)
		}
	})
}
