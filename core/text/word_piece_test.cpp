// The rules of BERT's tokenizer on a vocabulary of our own.
#include "core/text/word_piece.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;
using Json = nlohmann::json;

enum : int32_t {
  kPad,
  kUnk,
  kCls,
  kSep,
  kMask,
  kUn,
  k_Aff,
  k_Able,
  kWant,
  k_Ed,
  kRun,
  k_Ing,
  kComma,
  kA,
  k_A,
  kMiddle,
  kCafe,
  kCafeAccent,
  kCapitalWant,
  kBang,
  kDollar,
  kUnaffable,
  k_Un,
  kI,
  k_Dot,
  kSigma,
  kHangulH,
  k_HangulA
};
const std::vector<std::string> kTokens = {
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",   "un", "##aff",  "##able",  "want", "##ed",
    "runn",  "##ing", ",",     "a",     "##a",      "中", "cafe",   "café",    "Want", "!",
    "$",     "unaff", "##un",  "i",     "##\u0307", "σ",  "\u1112", "##\u1161"};

std::string lines(const std::vector<std::string>& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token + "\n";
  return text;
}

Json tokenizer_json() {
  Json json = Json::parse(R"({
    "truncation": {"max_length": 4}, "padding": {"strategy": {"Fixed": 9}},
    "added_tokens": [],
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                   "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": {}}})");
  for (size_t id = 0; id < kTokens.size(); ++id) json["model"]["vocab"][kTokens[id]] = id;
  for (int id : {kPad, kUnk, kCls, kSep, kMask})
    json["added_tokens"].push_back(
        {{"id", id}, {"content", kTokens[size_t(id)]}, {"special", true}, {"normalized", false}});
  return json;
}

WordPieceTokenizer made(const WordPieceFiles& files) {
  auto result = WordPieceTokenizer::from_files(files);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return std::move(*result);
}

WordPieceTokenizer from_json(const Json& json) {
  return made({.tokenizer = json.dump()});
}
WordPieceTokenizer from_lines(std::string config = "") {
  return made({.vocabulary = lines(kTokens), .tokenizer_config = std::move(config)});
}

std::string error_of(const WordPieceFiles& files) {
  auto result = WordPieceTokenizer::from_files(files);
  return result.ok() ? "" : result.error().message;
}

Ids ids(const WordPieceTokenizer& tokenizer, std::string_view text) {
  return tokenizer.encode(text, {.add_special = false}).ids;
}
Ids ids(std::string_view text) {
  return ids(from_lines(), text);
}

TEST(WordPiece, TakesTheLongestPieceFirst) {
  EXPECT_EQ(ids("unaffable"), (Ids{kUnaffable, k_Able}));
  EXPECT_EQ(ids("unwanted"), Ids{kUnk}) << "no ##want";
  EXPECT_EQ(ids("wanted running"), (Ids{kWant, k_Ed, kRun, k_Ing}));
  EXPECT_EQ(ids("aun"), (Ids{kA, k_Un}));
}

TEST(WordPiece, AWordThatCannotBeSpelledIsOneUnknownToken) {
  EXPECT_EQ(ids("wantedx a"), (Ids{kUnk, kA}));
  EXPECT_EQ(ids("x"), Ids{kUnk});
}

TEST(WordPiece, CountsCharactersNotBytesOfALongWord) {
  Ids spelled(100, k_A);
  spelled[0] = kA;
  EXPECT_EQ(ids(std::string(100, 'a')), spelled);
  EXPECT_EQ(ids(std::string(101, 'a')), Ids{kUnk});
  Json json = tokenizer_json();
  json["model"]["max_input_chars_per_word"] = 4;
  EXPECT_EQ(ids(from_json(json), "café cafés"), (Ids{kCafe, kUnk}));
  json["normalizer"]["strip_accents"] = false;
  EXPECT_EQ(ids(from_json(json), "café cafés"), (Ids{kCafeAccent, kUnk}));
}

TEST(WordPiece, CutsAtSpacesAndPunctuation) {
  EXPECT_EQ(ids(" want,\ta!\r\n"), (Ids{kWant, kComma, kA, kBang}));
  EXPECT_EQ(ids("$a$"), (Ids{kDollar, kA, kDollar})) << "an ASCII symbol";
  EXPECT_EQ(ids("a\u00A0a\u3000a\u2028a"), (Ids{kA, kA, kA, kA}));
  EXPECT_EQ(ids("a。a"), (Ids{kA, kUnk, kA}));
  EXPECT_EQ(ids("a₿a"), Ids{kUnk}) << "a symbol outside ASCII is no punctuation";
  EXPECT_EQ(ids("want ##ed"), (Ids{kWant, kUnk, kUnk, kUnk}));
}

TEST(WordPiece, DropsControlCharactersAndWhatIsNoText) {
  EXPECT_EQ(ids(std::string_view("wa\0nt", 5)), Ids{kWant});
  EXPECT_EQ(ids("wa\u0007nt\u200B\uFEFF\uFFFD"), Ids{kWant});
  EXPECT_EQ(ids("a\u000Ba"), (Ids{kA, k_A})) << "U+000B is a control character first";
  EXPECT_EQ(ids("wa\xFFnt \xE4\xB8"), Ids{kWant}) << "bytes that are no UTF-8";
  EXPECT_EQ(ids("\uE000"), Ids{}) << "private use";
  EXPECT_EQ(ids("\uFFFF"), Ids{kUnk}) << "unassigned";
  Json json = tokenizer_json();
  json["normalizer"]["clean_text"] = false;
  EXPECT_EQ(ids(from_json(json), "a\u000Ba wa\u0007nt"), (Ids{kA, kA, kUnk}));
}

TEST(WordPiece, PutsSpacesAroundChineseCharacters) {
  EXPECT_EQ(ids("a中a𠮷"), (Ids{kA, kMiddle, kA, kUnk}));
  EXPECT_EQ(ids(from_lines(R"({"tokenize_chinese_chars": false})"), "a中a 中"), (Ids{kUnk, kMiddle}));
}

TEST(WordPiece, LowersAndStripsAccentsTogetherUnlessTold) {
  EXPECT_EQ(ids("Want CAFÉ Cafe\u0301"), (Ids{kWant, kCafe, kCafe}));
  auto cased = from_lines(R"({"do_lower_case": false})");
  EXPECT_EQ(ids(cased, "Want want café"), (Ids{kCapitalWant, kWant, kCafeAccent}));
  EXPECT_EQ(ids(from_lines(R"({"do_lower_case": false, "strip_accents": true})"), "Want café"),
            (Ids{kCapitalWant, kCafe}));
  auto accented = from_lines(R"({"strip_accents": false})");
  EXPECT_EQ(ids(accented, "WANT CAFÉ"), (Ids{kWant, kCafeAccent}));
  EXPECT_EQ(ids(accented, "İ"), (Ids{kI, k_Dot})) << "the small form of U+0130 is two characters";
}

TEST(WordPiece, DecomposesHangulAndKnowsNoFinalSigma) {
  EXPECT_EQ(ids("하"), (Ids{kHangulH, k_HangulA}));
  EXPECT_EQ(ids("Σ"), Ids{kSigma});
}

TEST(WordPiece, SortsMarksBeforeItDropsSomeOfThem) {
  std::vector<std::string> tokens = kTokens;
  // U+302E (class 224) is a spacing mark and stays; U+1D165 (class 216), one too, goes before it.
  tokens.push_back("a\U0001D165\u302E");
  auto tokenizer = made({.vocabulary = lines(tokens)});
  EXPECT_EQ(ids(tokenizer, "a\u302E\u0301\U0001D165"), Ids{int32_t(kTokens.size())});
}

TEST(WordPiece, FindsSpecialTokensInTheTextUnlessTold) {
  EXPECT_EQ(ids("want[MASK]a [SEP]"), (Ids{kWant, kMask, kA, kSep}));
  EXPECT_EQ(ids("[mask]"), (Ids{kUnk, kUnk, kUnk})) << "before lowering";
  auto plain = from_lines().encode("[MASK]", {.add_special = false, .parse_special = false});
  EXPECT_EQ(plain.ids, (Ids{kUnk, kUnk, kUnk}));
}

TEST(WordPiece, AddedTokensKeepTheirRules) {
  Json json = tokenizer_json();
  auto with = [&](Json token) {
    Json changed = json;
    token["id"] = 40;
    token["content"] = "Run";
    changed["added_tokens"].push_back(token);
    return from_json(changed);
  };
  EXPECT_EQ(ids(with({{"normalized", false}}), "aRuna run"), (Ids{kA, 40, kA, kUnk}));
  EXPECT_EQ(ids(with({{"normalized", true}}), "aRuna run"), (Ids{kA, 40, kA, 40})) << "after lowering";
  EXPECT_EQ(ids(with({{"normalized", false}, {"single_word", true}}), "aRun Run!"), (Ids{kUnk, 40, kBang}));
  EXPECT_EQ(with({}).n_vocabulary(), 41u);
  EXPECT_EQ(with({}).token(40), "Run");
  EXPECT_EQ(with({}).find("Run"), 40);
  json["normalizer"]["lowercase"] = false;
  EXPECT_EQ(ids(with({{"normalized", false}, {"special", true}}), "Run aRun"), (Ids{40, kA, 40}));
  EXPECT_EQ(with({{"special", true}}).encode("Run a", {.add_special = false, .parse_special = false}).ids,
            (Ids{kUnk, kA}))
      << "no word is spelled with it";
}

TEST(WordPiece, PutsSpecialTokensAroundOneTextAndTwo) {
  for (const auto& tokenizer : {from_lines(), from_json(tokenizer_json())}) {
    auto one = tokenizer.encode("want a");
    EXPECT_EQ(one.ids, (Ids{kCls, kWant, kA, kSep}));
    EXPECT_EQ(one.segments, (Ids{0, 0, 0, 0}));
    auto two = tokenizer.encode_pair("want", "a,");
    EXPECT_EQ(two.ids, (Ids{kCls, kWant, kSep, kA, kComma, kSep}));
    EXPECT_EQ(two.segments, (Ids{0, 0, 0, 1, 1, 1}));
    two = tokenizer.encode_pair("want", "a,", {.add_special = false});
    EXPECT_EQ(two.ids, (Ids{kWant, kA, kComma}));
    EXPECT_EQ(two.segments, (Ids{0, 1, 1}));
    EXPECT_EQ(tokenizer.encode("").ids, (Ids{kCls, kSep}));
  }
}

TEST(WordPiece, FollowsTheTemplateOfTokenizerJson) {
  Json json = tokenizer_json();
  json["post_processor"] = Json::parse(R"({"type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "end", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "end", "type_id": 2}},
             {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"end": {"id": "end", "ids": [3, 4], "tokens": ["[SEP]", "[MASK]"]}}})");
  auto tokenizer = from_json(json);
  EXPECT_EQ(tokenizer.encode("a").ids, (Ids{kA, kSep, kMask}));
  auto two = tokenizer.encode_pair("a", "want");
  EXPECT_EQ(two.ids, (Ids{kWant, kSep, kMask, kA}));
  EXPECT_EQ(two.segments, (Ids{1, 2, 2, 0}));
  json["post_processor"] = nullptr;
  EXPECT_EQ(from_json(json).encode_pair("a", "want").ids, (Ids{kA, kWant}));
}

TEST(WordPiece, CutsTheEndOfALongText) {
  auto tokenizer = from_lines();
  EXPECT_EQ(tokenizer.encode("a , ! $", {.most_tokens = 4}).ids, (Ids{kCls, kA, kComma, kSep}));
  EXPECT_EQ(tokenizer.encode("a , ! $", {.most_tokens = 6}).ids.size(), 6u);
  EXPECT_EQ(tokenizer.encode("a", {.most_tokens = 0}).ids, (Ids{kCls, kSep})) << "the special tokens stay";
}

// The official rule, one token at a time: from the first text while it is the longer one, else from the
// second.
TEST(WordPiece, CutsTheLongerTextOfAPair) {
  auto tokenizer = from_lines();
  auto text = [](size_t n, const char* word) {
    std::string all;
    for (size_t i = 0; i < n; ++i) all += word;
    return all;
  };
  for (size_t n_first = 0; n_first < 8; ++n_first)
    for (size_t n_second = 0; n_second < 8; ++n_second)
      for (size_t most = 3; most < 20; ++most) {
        size_t first = n_first, second = n_second;
        while (first + second > most - 3) --(first > second ? first : second);
        auto got = tokenizer.encode_pair(text(n_first, "a "), text(n_second, "! "), {.most_tokens = most});
        Ids wanted = {kCls};
        wanted.insert(wanted.end(), first, kA);
        wanted.push_back(kSep);
        wanted.insert(wanted.end(), second, kBang);
        wanted.push_back(kSep);
        EXPECT_EQ(got.ids, wanted) << n_first << " and " << n_second << " to " << most;
        EXPECT_EQ(got.segments.size(), wanted.size());
      }
}

TEST(WordPiece, ReadsVocabulariesOfOtherSystemsAndNames) {
  auto windows = made({.vocabulary = "[UNK]\r\n[CLS]\r\n[SEP]\r\nwant"});
  EXPECT_EQ(windows.find("want"), 3);
  EXPECT_EQ(windows.encode("want").ids, (Ids{1, 3, 2}));
  EXPECT_EQ(windows.padding(), -1);
  auto named = made({.vocabulary = "<s>\n</s>\n<u>\n<m>\na\n",
                     .tokenizer_config = R"({"cls_token": "<s>", "sep_token": {"content": "</s>"},
                                             "unk_token": "<u>", "mask_token": "<m>"})"});
  EXPECT_EQ(named.encode("a<m> x").ids, (Ids{0, 4, 3, 2, 1}));
  EXPECT_EQ(named.mask(), 3);
}

TEST(WordPiece, TokensAndNumbersAreEachOthers) {
  auto tokenizer = from_lines();
  for (int32_t id = 0; id < int32_t(kTokens.size()); ++id) {
    EXPECT_EQ(tokenizer.token(id), kTokens[size_t(id)]);
    EXPECT_EQ(tokenizer.find(kTokens[size_t(id)]), id);
  }
  EXPECT_EQ(tokenizer.token(-1), "");
  EXPECT_EQ(tokenizer.token(int32_t(kTokens.size())), "");
  EXPECT_EQ(tokenizer.find("nothing"), -1);
}

TEST(WordPiece, BadFilesAreNamed) {
  EXPECT_EQ(error_of({}), "tokenizer: neither tokenizer.json nor vocab.txt is there");
  EXPECT_EQ(error_of({.vocabulary = "[UNK]\n[CLS]\n"}), "vocab.txt: it lacks the special token '[SEP]'");
  EXPECT_EQ(error_of({.vocabulary = "[SEP]\n[CLS]\n"}),
            "vocab.txt: it lacks the token '[UNK]' for unknown words");
  EXPECT_EQ(error_of({.tokenizer = "{"}), "tokenizer.json: this is not valid JSON");
  EXPECT_EQ(error_of({.tokenizer = "{}"}), "tokenizer.json: it has no model");

  auto broken = [](auto change) {
    Json json = tokenizer_json();
    change(json);
    return error_of({.tokenizer = json.dump()});
  };
  EXPECT_EQ(broken([](Json& json) { json["model"]["type"] = "BPE"; }),
            "tokenizer.json: wanted a model of type 'WordPiece', got 'BPE'");
  EXPECT_EQ(broken([](Json& json) { json["model"]["vocab"]["more"] = -1; }),
            "tokenizer.json: the number -1 of token 'more' is out of range");
  EXPECT_EQ(broken([](Json& json) { json["model"]["vocab"]["want"] = 0.5; }),
            "tokenizer.json: the number of token 'want' is no integer");
  EXPECT_EQ(broken([](Json& json) { json["model"]["unk_token"] = "<unk>"; }),
            "tokenizer.json: it lacks the token '<unk>' for unknown words");
  EXPECT_EQ(broken([](Json& json) { json["added_tokens"][0]["id"] = 9; }),
            "tokenizer.json: number 9 is both '##ed' and '[PAD]'");
  EXPECT_EQ(broken([](Json& json) { json["normalizer"]["type"] = "NFC"; }),
            "tokenizer.json: wanted a normalizer of type 'BertNormalizer', got 'NFC'");
  EXPECT_EQ(broken([](Json& json) { json["post_processor"]["cls"][1] = 99; }),
            "tokenizer.json: post_processor: the number 99 of 'cls' is outside the vocabulary");
  EXPECT_EQ(broken([](Json& json) {
              json["post_processor"] = {{"type", "TemplateProcessing"}};
            }),
            "tokenizer.json: post_processor.single is missing or no array");
}

}  // namespace
}  // namespace edgellm
