package notify

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/earshot/earshot/pkg/config"
	"github.com/earshot/earshot/pkg/outbound"
)

type lineWorksConfig struct {
	BotID          string        `yaml:"bot_id" doc:"Number of the bot." required:"true"`
	ChannelID      string        `yaml:"channel_id" doc:"Id of the message room the bot posts to. Empty sends to the person on the ladder, whose e-mail address is their LINE WORKS id."`
	ClientID       string        `yaml:"client_id" doc:"Client ID of the app in the Developer Console, which has the scope bot." required:"true"`
	ClientSecret   config.Secret `yaml:"client_secret" doc:"Its client secret." required:"true"`
	ServiceAccount string        `yaml:"service_account" doc:"Its service account, ….serviceaccount@…" required:"true"`
	PrivateKey     config.Secret `yaml:"private_key" doc:"The service account's private key, PEM." required:"true"`
	API            string        `yaml:"api" doc:"Address of the API."`
	Auth           string        `yaml:"auth" doc:"Address of the authorization server."`
	Quote          bool          `yaml:"quote" doc:"Quote the post and name its author."`
}

var lineWorksDefaults = lineWorksConfig{API: "https://www.worksapis.com/v1.0", Auth: "https://auth.worksmobile.com/oauth2/v2.0/token", Quote: true}

// lineWorks posts as a bot of LINE WORKS, to a room or a member. LINE WORKS
// knows no de-duplication key: an attempt whose answer was lost may show twice.
type lineWorks struct {
	cfg  lineWorksConfig
	deps Deps

	mu      sync.Mutex
	token   func() string // a function, as those print nothing
	expires time.Time
}

func openLineWorks(c lineWorksConfig, d Deps) (Notifier, error) {
	return &lineWorks{cfg: c, deps: d}, nil
}

func (n *lineWorks) Personal() bool { return n.cfg.ChannelID == "" }

// lineWorksText is the longest text of a message, in characters
// (developers.worksmobile.com, docs/bot-send-text). An API operation takes 240
// requests a minute on paid plans, told in RateLimit headers (docs/rate-limits).
const lineWorksText = 2000

type lineWorksMessage struct {
	Content lineMessage `json:"content"`
}

func (n *lineWorks) Notify(ctx context.Context, p Page) (Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout) // of all its requests
	defer cancel()
	if err := n.notify(ctx, p); err != nil {
		return Receipt{}, fmt.Errorf("lineworks: %s: %w", p.Action, err)
	}
	return Receipt{}, nil
}

func (n *lineWorks) notify(ctx context.Context, p Page) error {
	to := "/channels/" + url.PathEscape(n.cfg.ChannelID)
	if n.Personal() {
		if p.To.Email == "" {
			return refuse("the recipient has no e-mail address, which is their LINE WORKS id")
		}
		to = "/users/" + url.PathEscape(p.To.Email)
	}
	m := compose(p, n.cfg.Quote)
	body, err := json.Marshal(lineWorksMessage{lineMessage{"text", cutRunes(m.Subject+"\n\n"+m.plain(), lineWorksText)}})
	if err != nil {
		return refuse("encode message: %w", err)
	}
	address := strings.TrimSuffix(n.cfg.API, "/") + "/bots/" + url.PathEscape(n.cfg.BotID) + to + "/messages"
	for again := false; ; again = true {
		token, err := n.access(ctx, again)
		if err != nil {
			return err
		}
		header := http.Header{"Authorization": {"Bearer " + token()}, "Content-Type": {"application/json"}}
		_, err = ask(ctx, n.deps.Client, http.MethodPost, address, header, body)
		if e, ok := errors.AsType[*outbound.Error](err); ok && e.Status == http.StatusUnauthorized && !again {
			continue // the token was withdrawn before its time
		}
		return err
	}
}

// access returns an access token: the one there is, unless it ends soon or a
// fresh one is wanted.
func (n *lineWorks) access(ctx context.Context, fresh bool) (func() string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.deps.now()
	if !fresh && now.Before(n.expires) {
		return n.token, nil
	}
	form, err := n.assertion(now)
	if err != nil {
		return nil, err
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	body, err := ask(ctx, n.deps.Client, http.MethodPost, n.cfg.Auth, header, []byte(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("access token: %w", err)
	}
	var answer struct {
		Token     string      `json:"access_token"`
		ExpiresIn json.Number `json:"expires_in"` // written as a string
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return nil, outbound.Unreadable.Of(errors.New("access token: the answer holds none"))
	}
	life, _ := answer.ExpiresIn.Int64()
	n.token = func() string { return answer.Token }
	n.expires = now.Add(time.Duration(cmp.Or(life, 3600))*time.Second - 5*time.Minute)
	return n.token, nil
}

// assertion is what a token is asked for with: the service account's signature.
func (n *lineWorks) assertion(now time.Time) (url.Values, error) {
	secret, err := n.cfg.ClientSecret.Reveal()
	if err != nil {
		return nil, refusal{err}
	}
	pem, err := n.cfg.PrivateKey.Reveal()
	if err != nil {
		return nil, refusal{err}
	}
	key, err := rsaKey(pem)
	if err != nil {
		return nil, refuse("private_key: %w", err)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: n.cfg.ClientID, Subject: n.cfg.ServiceAccount, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(30 * time.Minute)),
	}).SignedString(key)
	if err != nil {
		return nil, refuse("sign: %w", err)
	}
	return url.Values{
		"assertion": {signed}, "grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"},
		"client_id": {n.cfg.ClientID}, "client_secret": {secret}, "scope": {"bot"},
	}, nil
}

// pemKey finds a private key also where line breaks were lost on the way, as in
// a form's field or an environment variable.
var pemKey = regexp.MustCompile(`-----BEGIN (?:RSA )?PRIVATE KEY-----([A-Za-z0-9+/=\s\\n]+)-----END (?:RSA )?PRIVATE KEY-----`)

func rsaKey(text string) (*rsa.PrivateKey, error) {
	m := pemKey.FindStringSubmatch(text)
	if m == nil {
		return nil, errors.New("is not a private key in PEM form, without a passphrase")
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(strings.ReplaceAll(m[1], `\n`, " ")), ""))
	if err != nil {
		return nil, errors.New("is not a whole private key")
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("is not a private key")
	}
	if key, ok := key.(*rsa.PrivateKey); ok {
		return key, nil
	}
	return nil, errors.New("is not an RSA key")
}
