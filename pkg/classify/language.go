package classify

import (
	"strings"
	"unicode"

	"github.com/earshot/earshot/pkg/text"
)

// Languages that are told apart; everything else is other.
const (
	japanese = "ja"
	english  = "en"
	other    = "other"
)

// languageSample is how many bytes are looked at to tell the language.
const languageSample = 2048

// languageLead is how many words more decide for English without reading on.
const languageLead = 10

// detectLanguage goes by script first: kana is Japanese, and so is kanji without
// the commonest Chinese words. Latin text is English by its commonest words
// against those of other languages. claimed decides where the text says too
// little.
func detectLanguage(content, folded, claimed string) string {
	kana, han, hangul, latin, foreign, accents, chinese := 0, 0, 0, 0, 0, 0, 0
	for i, r := range content {
		if i >= languageSample {
			break
		}
		switch {
		case r < 0x80:
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				latin++
			}
		case text.IsKana(r):
			kana++
		case text.IsHan(r):
			han++
			if isChineseOnly(r) {
				chinese++
			}
		case r >= 0xAC00 && r <= 0xD7A3:
			hangul++
		case r < 0x250:
			if unicode.IsLetter(r) {
				latin++
				accents++
			}
		case unicode.IsLetter(r):
			foreign++
		}
	}
	base, _, _ := strings.Cut(strings.ToLower(claimed), "-")
	cjk := kana + han
	switch {
	case hangul > cjk && hangul*3 > latin, foreign > cjk && foreign*3 > latin:
		return other
	// A Latin name of six letters takes the room of one or two kana.
	case kana > 0 && cjk*6 >= latin:
		return japanese
	case han > 0 && cjk*6 >= latin:
		if base == "ja" || base != "zh" && chinese*12 <= han {
			return japanese
		}
		return other
	case latin == 0:
		if base == japanese || base == english {
			return base
		}
		return other
	}
	return latinLanguage(folded, base, accents)
}

// chineseOnly are characters that are common in Chinese and rare in Japanese
// text without kana: function words and simplified forms.
const chineseOnly = "的了是们這这那你您吗嗎呢吧啊很没沒说說给給还還让讓对對为為会会个個们們么麼怎买買卖賣东东时时现现问问题题样样过过开关"

func isChineseOnly(r rune) bool {
	return r >= 0x4E00 && r <= 0x9FFF && chineseTable[r-0x4E00]
}

var chineseTable = func() (t [0x9FFF - 0x4E00 + 1]bool) {
	for _, r := range chineseOnly {
		t[r-0x4E00] = true
	}
	return t
}()

// latinLanguage counts the commonest words of languages in the first words.
func latinLanguage(folded, claimed string, accents int) string {
	if len(folded) > languageSample {
		folded = folded[:languageSample]
	}
	en, foreign := 0, 0
	start := -1
	for i := 0; i <= len(folded) && en < foreign+languageLead; i++ {
		if i < len(folded) && (folded[i] >= 'a' && folded[i] <= 'z' || folded[i] == '\'' && start >= 0) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			switch commonWords[folded[start:i]] {
			case 1:
				en++
			case 2:
				foreign++
			}
			start = -1
		}
	}
	switch {
	case foreign > en:
		return other
	case en > 0 && accents <= 2*en+2:
		return english
	case claimed != "" && claimed != english:
		if claimed == japanese {
			return english // Latin text of somebody whose posts are Japanese
		}
		return other
	case accents > 0 && claimed == "":
		return other
	}
	return english
}

// commonWords holds 1 for words of English, 2 for those of other languages.
// Words common to both are left out.
var commonWords = func() map[string]int8 {
	words := map[string]int8{}
	for w := range strings.FieldsSeq(foreignWords) {
		words[w] = 2
	}
	for w := range strings.FieldsSeq(englishWords) {
		words[w] = 1
	}
	return words
}()

const englishWords = `the and of to is it you that was for are with his they at be this have from or had by but what
were we when your can said there use each which she how their if will up about out many then them these so her would
make like him into has look two more write see could my than been who its now did get i i'm i've don't it's my your our
just not all very really please thanks thank love great good bad worst never ever again got any some because why still
does doesn't won't can't didn't isn't wasn't after before service order customer phone app today yesterday every`

const foreignWords = `que los las una por con para como pero mas muy este esta esto porque cuando todo tiene hay desde
gracias hola nunca servicio tienda el la les des une est pas pour dans qui sur avec vous nous je ne ce cette mais ou
plus tout bien merci jamais c'est j'ai der die das und ist nicht ich ein eine mit auf fur von sie wir aber auch sich den
dem nur noch wie wenn bei nach war il di che non per sono gli della questo molto anche grazie piu nao uma com mais voce
obrigado muito meu foi het een niet van voor maar ook wat zijn heb yang dan di tidak saya ini itu dengan untuk ada bu
bir ve cok degil ama icin och att det som jag inte ang ng mga sa hindi ako nie jest sie to na za bardzo ale`
