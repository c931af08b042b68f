#include "core/text/chat_template.h"

#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/test_folders.h"
#include "core/model_file/gguf.h"

namespace edgellm {
namespace {

using Json = nlohmann::ordered_json;

std::filesystem::path data_folder() {
  return source_folder() / "tests" / "data" / "chat_templates";
}

Json read_json(const std::string& name) {
  std::ifstream stream(data_folder() / name);
  EXPECT_TRUE(stream) << name;
  return Json::parse(stream);
}

Result<std::string> render(std::string_view source, const Json& variables) {
  ChatTemplate::Options options;
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  options.variables_json = variables.dump();
  EDGELLM_ASSIGN_OR_RETURN(const ChatTemplate parsed, ChatTemplate::parse(source));
  return parsed.render({}, options);
}

std::string render_or_error(std::string_view source, const Json& variables = Json::object()) {
  const auto text = render(source, variables);
  return text.ok() ? *text : text.error().message;
}

// `expected` is null where Jinja2 reports an error.
void expect_rendering(std::string_view source, const Json& variables, const Json& expected) {
  const auto text = render(source, variables);
  if (expected.is_null()) {
    EXPECT_FALSE(text.ok()) << source << "\ngave: " << *text;
    return;
  }
  ASSERT_TRUE(text.ok()) << source << "\n" << text.error().message;
  EXPECT_EQ(*text, expected.get<std::string>()) << source;
}

std::string fnv1a(std::string_view text) {
  uint64_t state = 0xcbf29ce484222325;
  for (const char c : text) state = (state ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", state);
}

TEST(ChatTemplate, renders_the_families_as_jinja2_does) {
  const Json cases = read_json("families.json");
  size_t n_cases = 0;
  for (const auto& [name, family] : cases["families"].items()) {
    for (const auto& [conversation, expected] : family["expected"].items()) {
      SCOPED_TRACE(name + ": " + conversation);
      expect_rendering(family["template"].get<std::string>(), cases["conversations"][conversation], expected);
      ++n_cases;
    }
  }
  EXPECT_GE(n_cases, 100u);
}

TEST(ChatTemplate, renders_snippets_of_every_feature_as_jinja2_does) {
  const Json variables = read_json("families.json")["conversations"]["tools"];
  const Json snippets = read_json("snippets.json");
  for (const Json& each : snippets) {
    expect_rendering(each["template"].get<std::string>(), variables, each["expected"]);
  }
}

TEST(ChatTemplate, renders_the_templates_of_real_models_as_jinja2_does) {
  const Json conversations = read_json("families.json")["conversations"];
  size_t n_models = 0;
  const Json models = read_json("models.json");
  for (const auto& [file, hashes] : models.items()) {
    if (!std::filesystem::exists(models_folder() / file)) continue;
    const auto model = GgufFile::open(models_folder() / file);
    ASSERT_TRUE(model.ok()) << model.error().message;
    const auto source = model->metadata().string("tokenizer.chat_template");
    ASSERT_TRUE(source.ok()) << source.error().message;
    ++n_models;
    for (const auto& [conversation, hash] : hashes.items()) {
      const auto text = render(*source, conversations[conversation]);
      EXPECT_EQ(text.ok(), !hash.is_null())
          << file << ", " << conversation << ": " << (text.ok() ? *text : text.error().message);
      if (text.ok() && !hash.is_null()) {
        EXPECT_EQ(fnv1a(*text), hash.get<std::string>()) << file << ", " << conversation << ":\n" << *text;
      }
    }
  }
  if (n_models == 0) GTEST_SKIP() << "no model files in " << models_folder();
}

TEST(ChatTemplate, a_model_without_template_speaks_chatml) {
  const auto parsed = ChatTemplate::from_metadata(Metadata());
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const auto text = parsed->render({{"system", "Be kind."}, {"user", "Hi"}}, {});
  ASSERT_TRUE(text.ok()) << text.error().message;
  EXPECT_EQ(
      *text,
      "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, the_template_in_the_metadata_is_used) {
  Metadata metadata;
  metadata.set("tokenizer.chat_template",
               MetadataValue::of_string("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"));
  const auto parsed = ChatTemplate::from_metadata(metadata);
  ASSERT_TRUE(parsed.ok());
  const auto text = parsed->render({{"user", "x"}}, {false, "<s>", "</s>", "", 0, 1 << 20});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "<s>x</s>");
}

TEST(ChatTemplate, can_be_rendered_again_and_again) {
  const auto parsed = ChatTemplate::parse(
      "{% set ns = namespace(n=0) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ x }}{% set x = 1 %}");
  ASSERT_TRUE(parsed.ok());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*parsed->render({}, {}), "1");
}

TEST(ChatTemplate, strftime_now_takes_the_time_it_is_given) {
  setenv("TZ", "UTC", 1);
  const auto parsed = ChatTemplate::parse("{{ strftime_now('%d %b %Y') }}");
  ChatTemplate::Options options;
  options.now = 1'700'000'000;
  EXPECT_EQ(*parsed->render({}, options), "14 Nov 2023");
}

TEST(ChatTemplateErrors, name_what_is_not_known_and_where) {
  EXPECT_EQ(render_or_error("a\n\n  {{ 'x' | foo }}"),
            "chat template: unknown filter 'foo' at line 3, column 12");
  EXPECT_EQ(render_or_error("{{ 1 is foo }}"), "chat template: unknown test 'foo' at line 1, column 9");
  EXPECT_EQ(render_or_error("{{ foo(1) }}"), "chat template: unknown function 'foo' at line 1, column 4");
  EXPECT_EQ(render_or_error("é {% include 'x' %}"),
            "chat template: unknown statement 'include' at line 1, column 6");
  EXPECT_EQ(render_or_error("{{ 'a'.foo() }}"),
            "chat template: 'str object' has no attribute 'foo' at line 1, column 7");
  EXPECT_EQ(render_or_error("{{ a.b }}"), "chat template: 'a' is undefined at line 1, column 5");
  EXPECT_EQ(render_or_error("{{ a.b", Json::object()),
            "chat template: no '}}' ends the tag that begins at line 1, column 1");
  EXPECT_EQ(render_or_error("x\n{% if 1 %}\n"),
            "chat template: the template ends where 'endif' is missing at line 2, column 11");
}

TEST(ChatTemplateErrors, the_templates_own_exception_is_returned) {
  EXPECT_EQ(render_or_error("{{ raise_exception('No system role!') }}"),
            "chat template: No system role! at line 1, column 4");
}

TEST(ChatTemplateErrors, variables_that_are_no_json_object_are_refused) {
  const auto parsed = ChatTemplate::parse("x");
  ChatTemplate::Options options;
  for (const char* text : {"[1]", "{", "1", "{\"a\":}"}) {
    options.variables_json = text;
    EXPECT_FALSE(parsed->render({}, options).ok()) << text;
  }
}

// Each would take all time, memory or stack if nothing stopped it.
TEST(ChatTemplateLimits, hostile_templates_end_with_an_error) {
  const std::string loops =
      "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}x{% endfor %}{% "
      "endfor %}{% endfor %}";
  const std::string doubling =
      "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor "
      "%}";
  const std::string shared =
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ "
      "ns.l }}";
  const std::string nested =
      "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}";
  const std::string recursion = "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}";
  const std::string methods =
      "{% set ns = namespace(f='x') %}{% for i in range(9999) %}{% set ns.f = {'f': ns.f}.get %}{% endfor %}";
  std::string parentheses, nots, ifs, brackets, sums = "{{ 1", ternaries = "{{ 1";
  for (int i = 0; i < 20000; ++i) {
    parentheses += '(';
    brackets += '[';
    nots += "not ";
    ifs += "{% if 1 %}";
    sums += "+1";
    ternaries += " if 1 else 1";
  }
  const std::vector<std::string> templates = {loops,
                                              doubling,
                                              shared,
                                              nested,
                                              recursion,
                                              methods,
                                              "{{ " + parentheses,
                                              "{{ " + brackets,
                                              "{{ " + nots + "1 }}",
                                              ifs,
                                              sums + " }}",
                                              ternaries + " }}",
                                              "{{ 'x' * 99999999999 }}",
                                              "{{ [1] * 99999999999 }}",
                                              "{{ 2 ** 9999999 }}",
                                              "{{ 9 ** 99 }}",
                                              "{{ 9223372036854775807 + 1 }}",
                                              "{{ 99999999999999999999 }}",
                                              "{{ 'x' | indent(999999999) }}",
                                              "{{ '%999999999d' % 1 }}",
                                              "{{ ('x' * 9999999) | replace('x', 'y' * 9999999) }}",
                                              "{{ ('x ' * 999999) | join('y' * 999999) }}",
                                              "{{ ('x' * 30000000) | list }}",
                                              "{{ range(0, 99999999999) }}",
                                              "{{ [1] | tojson(indent=99999999) }}"};
  for (const std::string& source : templates) {
    const auto text = render(source, Json::object());
    EXPECT_FALSE(text.ok()) << source.substr(0, 100);
  }
}

TEST(ChatTemplateLimits, a_namespace_may_hold_itself) {
  EXPECT_EQ(render_or_error("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me == ns }}"), "True");
}

TEST(ChatTemplateLimits, bytes_that_are_no_utf8_pass_through) {
  const auto parsed = ChatTemplate::parse(
      "{{ messages[0].content | trim | upper }}{{ messages[0].content | length }}{{ "
      "messages[0].content[::-1] }}");
  ASSERT_TRUE(parsed.ok());
  const auto text = parsed->render({{"user", "\xff z\xc3"}}, {});
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text,
            "\xff Z\xc3"
            "4\xc3z \xff");
}

}  // namespace
}  // namespace edgellm
