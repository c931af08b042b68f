#include "runtime/decode/generate_many.h"

#include <gtest/gtest.h>
#include <map>

#include "core/base/interrupt.h"
#include "runtime/decode/tiny_tokenizer.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

class GenerateMany : public testing::Test {
 protected:
  GenerateMany()
      : decoder_(
            Decoder::load(tiny::open({}), {.n_threads = 1, .n_batch = 16, .batch_invariant = true}).value()) {
  }

  // Prompts and limits of several lengths; every third is sampled, the others are greedy.
  static GenerationRequest request(size_t i) {
    GenerationRequest r;
    for (size_t t = 0; t < 2 + i % 5; ++t) r.prompt.push_back(Token(3 + (7 * i + t) % 80));
    r.sampler.temperature = i % 3 == 0 ? 1.0f : 0.0f;
    r.sampler.seed = i;
    r.max_tokens = 1 + 3 * (i % 7);
    return r;
  }
  std::map<size_t, Generation> answers(size_t n_requests, size_t n_at_once) {
    std::map<size_t, Generation> all;
    size_t asked = 0;
    Status status = generate_many(
        *decoder_, tokenizer_, {.n_at_once = n_at_once, .n_context = 32},
        [&]() { return asked < n_requests ? std::optional(request(asked++)) : std::nullopt; },
        [&](size_t i, Generation answer) {
          EXPECT_TRUE(all.emplace(i, std::move(answer)).second) << i;
          return Status();
        });
    EXPECT_TRUE(status.ok()) << status.error().message;
    return all;
  }

  Tokenizer tokenizer_ = tiny::ascii_tokenizer();
  std::unique_ptr<Decoder> decoder_;
};

TEST_F(GenerateMany, AnswersAreThoseOfOneAtATime) {
  constexpr size_t kRequests = 23;
  auto together = answers(kRequests, 6), apart = answers(kRequests, 1);
  ASSERT_EQ(together.size(), kRequests);
  ASSERT_EQ(apart.size(), kRequests);
  for (size_t i = 0; i < kRequests; ++i) {
    EXPECT_EQ(together[i].tokens, apart[i].tokens) << i;
    EXPECT_EQ(together[i].text, apart[i].text) << i;
    EXPECT_EQ(together[i].reason, apart[i].reason) << i;
    EXPECT_EQ(together[i].n_prompt_tokens, request(i).prompt.size()) << i;
  }
}

TEST_F(GenerateMany, AnswersAreThoseOfASession) {
  auto together = answers(8, 4);
  auto session = Session::create(std::shared_ptr<Decoder>(std::move(decoder_)), {.n_context = 32});
  ASSERT_TRUE(session.ok());
  for (size_t i = 0; i < 8; ++i) {
    Sampler sampler(request(i).sampler, tiny::kVocabulary);
    session->reset();
    auto alone =
        generate(*session, tokenizer_, sampler, request(i).prompt, {.max_tokens = request(i).max_tokens}, {});
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(together[i].tokens, alone->tokens) << i;
  }
}

TEST_F(GenerateMany, RequestsThatComeLaterAreServedToo) {
  size_t asked = 0, answered = 0;
  ASSERT_TRUE(generate_many(
                  *decoder_, tokenizer_, {.n_at_once = 4, .n_context = 32},
                  [&]() -> std::optional<GenerationRequest> {
                    // The second is asked for only once the first is answered.
                    if (asked > answered || asked == 2) return std::nullopt;
                    return request(asked++);
                  },
                  [&](size_t, Generation) {
                    ++answered;
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(answered, 2u);
}

TEST_F(GenerateMany, StepsTellHowManyAnswersGoOn) {
  constexpr size_t kRequests = 9;
  size_t asked = 0, n_stepped = 0, n_answered = 0, most = 0;
  ASSERT_TRUE(generate_many(
                  *decoder_, tokenizer_,
                  {.n_at_once = 4,
                   .n_context = 32,
                   .on_step =
                       [&](size_t n) {
                         n_stepped += n;
                         most = std::max(most, n);
                       }},
                  [&]() { return asked < kRequests ? std::optional(request(asked++)) : std::nullopt; },
                  [&](size_t, Generation answer) {
                    n_answered += answer.tokens.size();
                    return Status();
                  })
                  .ok());
  EXPECT_EQ(most, 4u);
  // The first token of an answer comes of its prompt; what ends it is not part of it.
  EXPECT_GE(n_stepped + kRequests, n_answered);
  EXPECT_LE(n_stepped, n_answered + kRequests);
}

TEST_F(GenerateMany, BadPromptsTheSinksErrorAndInterruptsEndIt) {
  auto once = [](GenerationRequest r) {
    return
        [r, done = false]() mutable { return std::exchange(done, true) ? std::nullopt : std::optional(r); };
  };
  auto ignore = [](size_t, Generation) { return Status(); };
  EXPECT_FALSE(generate_many(*decoder_, tokenizer_, {.n_context = 32}, once({}), ignore).ok());
  GenerationRequest long_one = request(1);
  long_one.prompt.assign(33, 5);
  EXPECT_FALSE(generate_many(*decoder_, tokenizer_, {.n_context = 32}, once(long_one), ignore).ok());
  Status status = generate_many(*decoder_, tokenizer_, {.n_context = 32}, once(request(1)),
                                [](size_t, Generation) { return Status(Error{"full"}); });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "full");
  request_interrupt();
  status = generate_many(*decoder_, tokenizer_, {.n_context = 32}, once(request(6)), ignore);
  clear_interrupt();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "interrupted");
}

}  // namespace
}  // namespace edgellm
