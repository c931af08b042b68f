#include "runtime/decode/generate.h"

#include <gtest/gtest.h>

#include "core/base/interrupt.h"
#include "runtime/decode/tiny_tokenizer.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

using tiny::ascii_tokenizer;
using tiny::kEnd;
using tiny::kVocabulary;

class Generate : public testing::Test {
 protected:
  Generate()
      : session_(Session::create(Decoder::load(tiny::open({}), {.n_threads = 1, .n_batch = 8}).value(),
                                 {.n_context = 32})
                     .value()) {}

  Generation generate_from(std::span<const Token> prompt, const GenerateOptions& options,
                           const SamplerOptions& sampling = {.temperature = 0}) {
    Sampler sampler(sampling, kVocabulary);
    auto made = generate(session_, tokenizer_, sampler, prompt, options,
                         [this](std::string_view piece) { streamed_ += piece; });
    EXPECT_TRUE(made.ok()) << made.error().message;
    return std::move(made).value();
  }

  Tokenizer tokenizer_ = ascii_tokenizer();
  Session session_;
  std::string streamed_;
  std::vector<Token> prompt_ = {5, 6, 7, 8, 9};
};

TEST_F(Generate, StopsAtTheTokenLimitAndStreamsTheWholeText) {
  Generation made = generate_from(prompt_, {.max_tokens = 6, .ignore_end = true});
  EXPECT_EQ(made.reason, StopReason::max_tokens);
  EXPECT_EQ(made.tokens.size(), 6u);
  EXPECT_EQ(made.text, streamed_);
  EXPECT_EQ(made.n_prompt_tokens, 5u);
}

TEST_F(Generate, StopsWhenTheContextIsFull) {
  Generation made = generate_from(prompt_, {.ignore_end = true});
  EXPECT_EQ(made.reason, StopReason::context_full);
  EXPECT_EQ(session_.n_free(), 0u);
}

TEST_F(Generate, GivesTheSameAnswerAgainFromTheKeptPrefix) {
  Generation first = generate_from(prompt_, {.max_tokens = 8, .ignore_end = true});
  Generation again = generate_from(prompt_, {.max_tokens = 8, .ignore_end = true});
  EXPECT_EQ(again.tokens, first.tokens);
  EXPECT_EQ(again.n_prompt_tokens, 1u);
}

TEST_F(Generate, EndsAtAnEndOfGenerationTokenUnlessToldToIgnoreIt) {
  // With a flat distribution the end token is drawn sooner or later.
  SamplerOptions flat = {.temperature = 100, .top_k = 0, .top_p = 1, .min_p = 0};
  bool ended = false;
  for (flat.seed = 0; flat.seed < 50 && !ended; ++flat.seed) {
    Generation made = generate_from(prompt_, {}, flat);
    ended = made.reason == StopReason::end_of_text;
    for (Token token : made.tokens) EXPECT_NE(token, kEnd);
  }
  EXPECT_TRUE(ended);
}

TEST_F(Generate, AnInterruptEndsTheAnswer) {
  request_interrupt();
  Generation made = generate_from(prompt_, {});
  clear_interrupt();
  EXPECT_EQ(made.reason, StopReason::interrupted);
  EXPECT_TRUE(made.tokens.empty());
}

TEST_F(Generate, RefusesAnEmptyPromptAndOneBeyondTheContext) {
  Sampler sampler({}, kVocabulary);
  EXPECT_FALSE(generate(session_, tokenizer_, sampler, {}, {}, {}).ok());
  std::vector<Token> large(33, 1);
  auto refused = generate(session_, tokenizer_, sampler, large, {}, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("33 tokens"), std::string::npos);
}

}  // namespace
}  // namespace edgellm
