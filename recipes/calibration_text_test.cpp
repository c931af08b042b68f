#include "recipes/calibration_text.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

#include "core/base/output_file.h"
#include "core/base/temporary_folder.h"
#include "runtime/decode/tiny_tokenizer.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

constexpr size_t kWindow = 8;
constexpr const char* kTemplate =
    "{% for m in messages %}"
    "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    "<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<answer>{% endif %}";

class CalibrationTextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryFolder::create("calibration");
    ASSERT_TRUE(folder.ok()) << folder.error().message;
    folder_.emplace(std::move(*folder));
  }
  std::filesystem::path written(const std::string& name, const std::string& text) {
    const std::filesystem::path path = *folder_ / name;
    EXPECT_TRUE(write_text_file(path, text).ok());
    return path;
  }
  Result<CalibrationText> read(const std::vector<TextSource>& sources, bool has_template = true,
                               size_t fewest_windows = 1) {
    Metadata metadata = tiny::metadata_of({});
    if (has_template) metadata.set("tokenizer.chat_template", MetadataValue::of_string(kTemplate));
    auto model = tiny::open(metadata, tiny::tensors_of({}));
    return read_calibration_text(sources, *model, tokenizer_, kWindow, fewest_windows);
  }
  std::string refusal(const std::vector<TextSource>& sources, size_t fewest_windows = 1) {
    auto text = read(sources, true, fewest_windows);
    return text.ok() ? std::string() : text.error().message;
  }
  // Of the windows, one after another, in whatever order.
  std::vector<std::string> texts_of(const CalibrationText& text) {
    std::vector<std::string> texts;
    for (const auto& window : text.windows) {
      std::string& piece = texts.emplace_back();
      for (Token token : window) piece += tokenizer_.piece(token, true);
    }
    return texts;
  }

  std::optional<TemporaryFolder> folder_;
  Tokenizer tokenizer_ = tiny::ascii_tokenizer();
};

TEST_F(CalibrationTextTest, WithoutWeightsAllTextIsCutIntoWindows) {
  auto text = read({{written("one.txt", "0123456789012345XY"), {}}, {written("two.txt", "stuvwxyz"), {}}});
  ASSERT_TRUE(text.ok()) << text.error().message;
  auto texts = texts_of(*text);
  std::ranges::sort(texts);
  EXPECT_EQ(texts, (std::vector<std::string>{"01234567", "89012345", "stuvwxyz"}));
  EXPECT_EQ(text->source_names(), (std::vector<std::string>{"one.txt", "two.txt"}));
  EXPECT_EQ(text->sources[0].n_tokens, 18u);
  EXPECT_FALSE(text->sources[0].weight);
}

TEST_F(CalibrationTextTest, WeightsGiveShares) {
  auto text = read({{written("one.txt", std::string(800, '1')), 1},
                    {written("two.txt", std::string(240, '2')), 3},
                    {written("three.txt", std::string(800, '3')), {}}});
  ASSERT_TRUE(text.ok()) << text.error().message;
  // The second's 30 windows are three fifths.
  std::map<char, size_t> n_of;
  for (const std::string& window : texts_of(*text)) ++n_of[window[0]];
  EXPECT_EQ(n_of, (std::map<char, size_t>{{'1', 10}, {'2', 30}, {'3', 10}}));
  EXPECT_EQ(text->sources[1].weight, 3);
  EXPECT_EQ(text->sources[2].weight, 1);
}

TEST_F(CalibrationTextTest, DialoguesAreInTheChatFormat) {
  const TextSource source = {written("chat.jsonl", R"({"question": "abc", "answer": "d"}
{"messages": [{"role": "user", "content": "ef"}, {"role": "assistant", "content": "g"}]})"),
                             {}};
  auto text = read({source});
  ASSERT_TRUE(text.ok()) << text.error().message;
  const std::string all = "<user>abc<assistant>d<user>ef<assistant>g";
  for (const std::string& window : texts_of(*text)) EXPECT_NE(all.find(window), std::string::npos) << window;
  // "ab" is one token.
  EXPECT_EQ(text->sources[0].n_tokens, all.size() - 1);
  auto without = read({source}, false);
  EXPECT_FALSE(without.ok()) << "ten letters without the template";
}

TEST_F(CalibrationTextTest, WhatTheTemplateRefusesIsNamed) {
  const std::string message = refusal({{written("chat.jsonl", R"({"text": "0123456789"}
{"messages": [{"role": "tool", "content": "x"}]})"),
                                        {}}});
  for (const char* word : {"chat.jsonl:2", "no tools"})
    EXPECT_NE(message.find(word), std::string::npos) << message;
}

TEST_F(CalibrationTextTest, WhatIsTooShortSaysHowMuchIsNeeded) {
  const std::string all_too_short = refusal({{written("a.txt", "01234567"), {}}}, 3);
  for (const char* word : {"1 windows of 8", "at least 3", "18 words"})
    EXPECT_NE(all_too_short.find(word), std::string::npos) << all_too_short;
  const std::string one_too_short =
      refusal({{written("a.txt", "0123456789"), {}}, {written("b.txt", "0123"), {}}});
  for (const char* word : {"b.txt", "4 tokens", "window of 8"})
    EXPECT_NE(one_too_short.find(word), std::string::npos) << one_too_short;
  const std::string by_weight =
      refusal({{written("a.txt", std::string(800, '1')), 1000}, {written("b.txt", "01234567"), 0.001}}, 200);
  EXPECT_NE(by_weight.find("with these weights"), std::string::npos) << by_weight;
}

}  // namespace
}  // namespace edgellm
