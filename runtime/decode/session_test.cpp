#include "runtime/decode/session.h"

#include <gtest/gtest.h>

#include "core/base/interrupt.h"
#include "runtime/decode/generate.h"
#include "runtime/decode/run_memory.h"
#include "runtime/decode/runtime_language_model.h"
#include "runtime/decode/text_stream.h"
#include "runtime/graph/tiny_model.h"

namespace edgellm {
namespace {

std::shared_ptr<Decoder> load(const tiny::Shape& shape, size_t n_batch = 8) {
  return Decoder::load(tiny::open(shape), {.n_threads = 2, .n_batch = n_batch}).value();
}

std::vector<Token> some_tokens(size_t n) {
  std::vector<Token> tokens(n);
  for (size_t i = 0; i < n; ++i) tokens[i] = Token((i * 37 + 11) % 96);
  return tokens;
}

std::vector<float> copy(std::span<const float> row) {
  return {row.begin(), row.end()};
}

void expect_close(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-2);
}

TEST(Session, APromptLongerThanTheBatchGivesTheLogitsOfItsLastToken) {
  auto tokens = some_tokens(30);
  Session small = Session::create(load({}, 4), {.n_context = 40}).value();
  Session large = Session::create(load({}, 64), {.n_context = 40}).value();
  expect_close(copy(*small.feed(tokens)), copy(*large.feed(tokens)));
  EXPECT_EQ(small.tokens().size(), 30u);
  EXPECT_EQ(small.n_free(), 10u);
}

TEST(Session, KeepsWhatANewTextSharesWithTheOldOne) {
  auto tokens = some_tokens(20);
  Session session = Session::create(load({}), {.n_context = 40}).value();
  auto whole = copy(*session.feed(tokens));
  EXPECT_EQ(session.keep_shared(tokens), 19u);
  expect_close(copy(*session.feed(std::span(tokens).subspan(19))), whole);
  auto other = tokens;
  other[5] = 1;
  EXPECT_EQ(session.keep_shared(other), 5u);
  ASSERT_TRUE(session.feed(std::span(other).subspan(5)).ok());
  session.reset();
  EXPECT_EQ(session.tokens().size(), 0u);
}

TEST(Session, AFullContextIsAnError) {
  Session session = Session::create(load({}), {.n_context = 10}).value();
  ASSERT_TRUE(session.feed(some_tokens(10)).ok());
  auto more = session.feed(some_tokens(1));
  ASSERT_FALSE(more.ok());
  EXPECT_NE(more.error().message.find("context of 10"), std::string::npos);
}

TEST(Session, AnInterruptLeavesTheCompletedBatches) {
  Session session = Session::create(load({}), {.n_context = 40}).value();
  request_interrupt();
  EXPECT_FALSE(session.feed(some_tokens(20)).ok());
  clear_interrupt();
  EXPECT_EQ(session.tokens().size(), 0u);
  EXPECT_TRUE(session.feed(some_tokens(20)).ok());
}

TEST(RuntimeLanguageModel, EveryEvaluationStartsFromAnEmptyContext) {
  auto model =
      RuntimeLanguageModel::load(tiny::open({}), {.n_context = 32, .n_batch = 8, .n_logit_rows = 3}).value();
  auto tokens = some_tokens(20);
  std::vector<std::vector<float>> first, again;
  std::vector<size_t> positions;
  ASSERT_TRUE(model
                  ->evaluate(tokens, 0,
                             [&](size_t position, std::span<const float> row) {
                               first.push_back(copy(row));
                               positions.push_back(position);
                               return Status();
                             })
                  .ok());
  ASSERT_TRUE(model
                  ->evaluate(tokens, 15,
                             [&](size_t position, std::span<const float> row) {
                               EXPECT_EQ(position, 15 + again.size());
                               again.push_back(copy(row));
                               return Status();
                             })
                  .ok());
  ASSERT_EQ(first.size(), 20u);
  ASSERT_EQ(again.size(), 5u);
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(positions[i], i);
  for (size_t i = 0; i < 5; ++i) expect_close(again[i], first[15 + i]);
}

TEST(RuntimeLanguageModel, TheSinksErrorEndsTheEvaluation) {
  auto model = RuntimeLanguageModel::load(tiny::open({}), {.n_context = 32}).value();
  Status status = model->evaluate(some_tokens(5), 0,
                                  [](size_t, std::span<const float>) -> Status { return Error{"enough"}; });
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().message, "enough");
}

TEST(RunMemory, CountsWhatLoadReserves) {
  for (const char* family : {"llama", "gemma3"}) {
    tiny::Shape shape = {.family = family, .n_layers = 7, .sliding_window = family[0] == 'g' ? 9u : 0u};
    auto file = tiny::open(shape);
    auto decoder = load(shape, 16);
    Session session = Session::create(decoder, {.n_context = 300}).value();
    RunMemory memory = estimate_run_memory(decoder->hyperparameters(), file->metadata(), 1000,
                                           {.n_context = 300, .n_batch = 16});
    EXPECT_EQ(memory.weights, 1000u);
    EXPECT_EQ(memory.kv_cache, session.n_cache_bytes());
    // The estimate allows for weights of either 8-bit format.
    EXPECT_GE(memory.activations, GraphBuffers::n_bytes(decoder->hyperparameters(), 16, 1));
  }
  EXPECT_GT(peak_resident_bytes(), 1u << 20);
}

TEST(RunMemory, AnEmbeddingThatIsOnlyLookedUpCountsByTheRowsOfAContext) {
  auto file = tiny::open({});
  auto h = read_hyperparameters(file->metadata()).value();
  RunShape shape = {.n_context = 100, .n_lookup_bytes = 900'000'000};
  EXPECT_EQ(estimate_run_memory(h, file->metadata(), 1'000'000'000, shape).weights,
            100'000'000u + 100 * 65536u);
  shape.n_lookup_bytes = 1000;
  EXPECT_EQ(estimate_run_memory(h, file->metadata(), 1'000'000'000, shape).weights, 1'000'000'000u);
}

TEST(TextStream, GivesOnlyWholeCharacters) {
  TextStream stream;
  EXPECT_EQ(stream.add("a\xC3"), "a");
  EXPECT_EQ(stream.add("\xA9z"), "\xC3\xA9z");
  EXPECT_EQ(stream.add("\xF0\x9F"), "");
  EXPECT_EQ(stream.add("\x98"), "");
  EXPECT_EQ(stream.add("\x80"), "\xF0\x9F\x98\x80");
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, ReplacesWhatIsNoUtf8) {
  TextStream stream;
  EXPECT_EQ(stream.add("\xFF"
                       "b\x80\xE2\x28"),
            "\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD(");
  EXPECT_EQ(stream.add("\xE2\x82"), "");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace edgellm
