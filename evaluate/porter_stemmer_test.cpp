#include "evaluate/porter_stemmer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <vector>

#include "core/base/test_folders.h"

namespace edgellm {
namespace {

namespace fs = std::filesystem;

struct Case {
  const char *word, *stem;
};

// The stems below are those NLTK 3.10.4 gives.
void expect_stems(const std::vector<Case>& cases) {
  for (const Case& c : cases) EXPECT_EQ(porter_stem(c.word), c.stem) << c.word;
}

TEST(PorterStemmerTest, PluralsLoseTheirEnding) {
  expect_stems({{"cats", "cat"}, {"caresses", "caress"}, {"ponies", "poni"}, {"ties", "tie"}});
}

TEST(PorterStemmerTest, ParticiplesGetBackWhatTheEndingTook) {
  expect_stems({{"hopping", "hop"},
                {"filing", "file"},
                {"failing", "fail"},
                {"falling", "fall"},
                {"hissing", "hiss"},
                {"fizzed", "fizz"},
                {"using", "use"},
                {"sized", "size"},
                {"agreed", "agre"},
                {"troubled", "troubl"},
                {"conflated", "conflat"},
                {"spied", "spi"},
                {"died", "die"},
                {"motoring", "motor"},
                {"plastered", "plaster"}});
}

TEST(PorterStemmerTest, AnEndingThatLeavesNoVowelStays) {
  expect_stems({{"sing", "sing"}, {"bled", "bled"}, {"feed", "feed"}, {"b12ing", "b12ing"}});
}

TEST(PorterStemmerTest, AFinalYBecomesIAfterAConsonantOnly) {
  expect_stems({{"happy", "happi"}, {"fly", "fli"}, {"enjoy", "enjoy"}, {"yyyed", "yy"}});
}

TEST(PorterStemmerTest, LongSuffixesComeOffStepByStep) {
  expect_stems({{"relational", "relat"},
                {"rational", "ration"},
                {"radically", "radic"},
                {"conformably", "conform"},
                {"hopefully", "hope"},
                {"geology", "geolog"},
                {"differently", "differ"},
                {"triplicate", "triplic"},
                {"vietnamization", "vietnam"},
                {"formative", "form"},
                {"electrical", "electr"},
                {"goodness", "good"},
                {"revival", "reviv"},
                {"adoption", "adopt"},
                {"opinion", "opinion"},
                {"replacement", "replac"},
                {"homologous", "homolog"},
                {"probate", "probat"},
                {"rate", "rate"},
                {"cease", "ceas"},
                {"controlling", "control"},
                {"roll", "roll"}});
}

TEST(PorterStemmerTest, IrregularFormsAreLookedUp) {
  expect_stems({{"sky", "sky"},
                {"skies", "sky"},
                {"dying", "die"},
                {"news", "news"},
                {"innings", "inning"},
                {"proceed", "proceed"}});
}

TEST(PorterStemmerTest, ShortWordsStayAndCapitalsAreLowered) {
  expect_stems({{"", ""}, {"s", "s"}, {"is", "is"}, {"AS", "as"}, {"RUNNING", "run"}});
}

TEST(PorterStemmerTest, DigitsCountAsConsonants) {
  expect_stems({{"1929", "1929"}, {"a22ing", "a2"}, {"90s", "90"}});
}

class PorterStemmerGoldenTest : public testing::TestWithParam<const char*> {};

TEST_P(PorterStemmerGoldenTest, StemsAsNltkDoes) {
  fs::path path = shared_folder() / "golden" / GetParam();
  if (!fs::exists(path))
    GTEST_SKIP() << "no recorded stems at " << path << "; EDGELLM_SHARED names the folder";
  std::ifstream lines(path);
  size_t n_words = 0, n_wrong = 0;
  for (std::string line; std::getline(lines, line); ++n_words) {
    size_t tab = line.find('\t');
    ASSERT_NE(tab, std::string::npos) << line;
    std::string word = line.substr(0, tab), stem = line.substr(tab + 1), got = porter_stem(word);
    if (got != stem && ++n_wrong <= 20) ADD_FAILURE() << word << " -> " << got << ", NLTK " << stem;
  }
  EXPECT_EQ(n_wrong, 0u);
  EXPECT_GT(n_words, 300u);
}

INSTANTIATE_TEST_SUITE_P(, PorterStemmerGoldenTest,
                         testing::Values("porter_stems_hand.tsv", "wikitext/porter_stems.tsv"),
                         [](const auto& info) { return info.index == 0 ? "Hand" : "WikiText"; });

}  // namespace
}  // namespace edgellm
