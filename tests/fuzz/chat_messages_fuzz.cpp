#include "core/text/chat_template.h"
#include "tests/fuzz/fuzz_input.h"

// Variables from outside, through a template that prints, cuts and formats whatever they are.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
  static const auto kTemplate = edgellm::ChatTemplate::parse(R"(
{%- for m in messages %}
  {{- m.role ~ ':' ~ m.content }}{{ m | tojson(indent=1) }}{{ [m] }}
  {%- if m.content is string %}
    {{- m.content | trim | upper | title | indent }}{{ m.content.split() }}{{ m.content[::-1] }}{{ m.content[1:-1] }}
    {{- m.content.split('\n')[-1].strip('\n') }}{{ m.content | replace('a', 'bc') | length }}{{ m.content.rsplit(none, 2) }}
  {%- elif m.content is mapping %}
    {{- m.content | dictsort | list }}
  {%- endif %}
{%- endfor %})");
  edgellm::ChatTemplate::Options options;
  options.work_limit = 1 << 22;
  const std::string text(edgellm::as_text(data, n_bytes));
  if (!kTemplate->render({{"user", text}}, options).ok()) __builtin_trap();
  options.variables_json = text;
  (void)kTemplate->render({}, options).ok();
  return 0;
}
