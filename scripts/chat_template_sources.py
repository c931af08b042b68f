"""Chat templates and template snippets of our own, in the manner of the families named, for make_chat_template_cases.py."""

FAMILIES = {
    # [INST] turns, the system text inside the first user turn.
    "llama2": """{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system = messages[0]['content'] %}{% else %}{% set turns = messages %}{% set system = false %}{% endif %}{% for turn in turns %}{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles have to take turns: user, assistant, user, ...') }}{% endif %}{% if loop.index0 == 0 and system != false %}{% set text = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + turn['content'] %}{% else %}{% set text = turn['content'] %}{% endif %}{% if turn['role'] == 'user' %}{{ bos_token + '[INST] ' + text.strip() + ' [/INST]' }}{% elif turn['role'] == 'assistant' %}{{ ' ' + text.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    # Header tokens around each role, a dated system turn, optional tools.
    "llama3": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "01 Feb 2025" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system text is taken out, so that it can go into its own place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_text = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_text = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today: " + date_string + "\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_text }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("One call of a tool at a time") }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}
        {{- '{"name": "' + call.name + '", "parameters": ' }}{{- call.arguments | tojson }}{{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    # A namespace finds the last user turn; the system text is put there.
    "mistral": """{%- if messages[0]["role"] == "system" %}
    {%- set system_text = messages[0]["content"] %}
    {%- set rest = messages[1:] %}
{%- else %}
    {%- set rest = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set users = rest | selectattr("role", "equalto", "user") | list %}
{%- set state = namespace() %}
{%- set state.index = 0 %}
{%- for message in rest %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (state.index % 2 == 0) %}
            {{- raise_exception("Turns of user and assistant have to alternate") }}
        {%- endif %}
        {%- set state.index = state.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in rest %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == users[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_text is defined %}
            {{- "[INST] " + system_text + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for call in message.tool_calls %}
            {%- set out = call.function|tojson %}
            {{- out[:-1] }}
            {{- ', "id": "' + call.id|default("000000000") + '"}' }}
            {{- ", " if not loop.last else "]" + eos_token }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- elif message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS] {"content": ' + content|string + "}[/TOOL_RESULTS]" }}
    {%- else %}
        {{- raise_exception("A role that is not known: " ~ message.role) }}
    {%- endif %}
{%- endfor %}
""",
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}""",
    "qwen2.5": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {{- messages[0].content if messages[0].role == 'system' else 'You are a good helper.' }}
    {{- "\\n\\n# Tools\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools>\\nAnswer with {\\"name\\": <name>, \\"arguments\\": <object>}<|im_end|>\\n" }}
{%- elif messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are a good helper.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\\n' + message.content }}
        {%- endif %}
        {%- for call in message.tool_calls %}
            {%- if call.function is defined %}
                {%- set call = call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' ~ call.name ~ '", "arguments": ' ~ (call.arguments | tojson) ~ '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.previtem and loop.previtem.role != "tool" %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' ~ message.content ~ '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    # Thinking: cut out of all answers before the last question; switched off by enable_thinking.
    "qwen3": """{%- set ns = namespace(searching=true, last=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.searching and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.searching = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content if message.content is string else '' %}
    {%- if message.role == "assistant" %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role }}
        {%- if loop.index0 > ns.last and (loop.last or (not loop.last and thought)) %}
            {{- '\\n<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    # No system role: its text goes before the first user turn; content may be a list of parts.
    "gemma": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set prefix = messages[0]['content'][0]['text'] + '

' -%}
    {%- endif -%}
    {%- set turns = messages[1:] -%}
{%- else -%}
    {%- set prefix = "" -%}
    {%- set turns = messages -%}
{%- endif -%}
{%- for message in turns -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Turns must alternate between user and assistant") }}
    {%- endif -%}
    {%- set role = "model" if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '
' + (prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for part in message['content'] -%}
            {%- if part['type'] == 'image' -%}
                {{ '<start_of_image>' }}
            {%- elif part['type'] == 'text' -%}
                {{ part['text'] | trim }}
            {%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception("Content of a type that is not known") }}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model
' }}
{%- endif -%}
""",
    "phi3": """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "zephyr": """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}""",
    "tulu": """{{ bos_token }}{% for message in messages %}
    {% if message['role'] == 'assistant' %}
        {% if not loop.last %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token + '\\n' }}
        {% else %}
{{ '<|assistant|>\\n'  + message['content'] + eos_token }}
        {% endif %}
    {% else %}
{{ '<|' ~ message.role ~ '|>\\n' + message['content'] + '\\n' }}
    {% endif %}
    {% if loop.last and add_generation_prompt %}
{{ '<|assistant|>\\n' }}
    {% endif %}
{% endfor %}
""",
    "command-r": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set turns = messages[1:] %}{% set system_text = messages[0]['content'] %}{% elif false == true %}{% set turns = messages %}{% set system_text = 'never' %}{% else %}{% set turns = messages %}{% set system_text = false %}{% endif %}{% if system_text != false %}{{ '<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>' + system_text + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% for message in turns %}{% set content = message['content'] %}{% if message['role'] == 'user' %}{{ '<|START_OF_TURN_TOKEN|><|USER_TOKEN|>' + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% elif message['role'] == 'assistant' %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'  + content.strip() + '<|END_OF_TURN_TOKEN|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' }}{% endif %}""",
    "deepseek": """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, is_tool=false, is_output_first=true, system='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system}}{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<\uff5cUser\uff5c>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<\uff5cAssistant\uff5c>' + content + '<\uff5cend\u2581of\u2581sentence\uff5c>'}}{%- endif %}{%- endfor -%}{% if add_generation_prompt and not ns.is_tool %}{{'<\uff5cAssistant\uff5c><think>\\n'}}{% endif %}""",
    # Macros that call themselves, block set, generation marks, loop controls.
    "macros": """{%- macro kind(spec, top=true) -%}
    {%- if spec.type == 'array' -%}
        {{ kind(spec['items'], top=false) }}[]
    {%- elif spec.type == 'object' -%}
        { {%- for name, inner in spec.properties | dictsort %}{{ ' ' ~ name }}: {{ kind(inner, false) }}{{ ',' if not loop.last }}{% endfor %} }
    {%- elif spec.type is sequence and spec.type is not string -%}
        {{ spec.type | join(' | ') }}
    {%- else -%}
        {{ spec.type | default('any') }}
    {%- endif -%}
    {%- if top %};{% endif -%}
{%- endmacro -%}
{%- set head %}
System of {{ messages | length }} messages
{% endset -%}
{{ head | trim | upper }}
{% for tool in tools or [] %}
{% if tool.function.name.startswith('_') %}{% continue %}{% endif %}
- {{ tool.function.name }}: {{ kind(tool.function.parameters) }}
{% else %}
(no tools)
{% endfor %}
{% for message in messages %}
{% if loop.index > 4 %}{% break %}{% endif %}
{% if message.role == 'assistant' %}
{{ '<a>' }}{% generation %}{{ message.content }}{{ '</a>' }}{% endgeneration %}

{% else %}
<{{ message.role[0] }}>{{ message.content }}</{{ message.role[:1] | upper }}>
{% endif %}
{% endfor %}
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}
{% call wrap('b') %}{{ messages[-1].content | length }}{% endcall %}
""",
}

# Each is rendered alone with the variables of the conversation named "tools".
SNIPPETS = [
    "{{ 1 + 2 * 3 - 4 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7.5 % 2 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ -2 ** 2 }}",
    "{{ 1e3 }} {{ 1.5e-7 }} {{ 1e16 }} {{ 123456789012345678 }} {{ 0.1 + 0.2 }} {{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 3.0 }} {{ 1e-4 }} {{ 0.00001 }}",
    "{{ true }} {{ false }} {{ none }} {{ True and 'x' }} {{ False or '' }} {{ not 1 }} {{ 1 and 0 or 'z' }}",
    "{{ [1, 'a', 2.5, none, true, [], (1,), (), {'k': 'v', 3: [1]}] }}",
    "{{ 'it\\'s' }} {{ ['it\\'s', 'say \"x\"', 'both \\' \"', 'tab\\t', 'nl\\n', 'back\\\\', 'é', '\\x01', '\\u200b', '😀', '\\u00a0'] }}",
    "{{ '\\x41\\u00e9\\U0001F600\\101\\q\\a' }}{{ 'a' 'b' \"c\" }}",
    "{{ 'abcdef'[1] }}{{ 'abcdef'[-1] }}{{ 'abcdef'[1:4] }}{{ 'abcdef'[::-1] }}{{ 'abcdef'[-3:] }}{{ 'abcdef'[::2] }}{{ 'abcdef'[5:1:-2] }}{{ 'abc'[10:] }}|{{ 'abc'[:-10] }}|{{ 'é😀x'[1] }}{{ 'é😀x'[::-1] }}",
    "{{ [1,2,3,4][1:] }}{{ [1,2,3,4][:-1] }}{{ [1,2,3,4][::-1] }}{{ (1,2,3)[-2:] }}{{ [1,2,3][5] }}|{{ [1,2,3][-3] }}{{ [1,2,3][10:0:-1] }}{{ [1,2,3][None:2] }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 2 > 5 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {{ 1 == 1.0 }} {{ 'a' == 'a' }} {{ none == none }} {{ [1] == [1] }} {{ {'a': 1} == {'a': 1} }} {{ 1 == true }} {{ (1,) == [1] }} {{ 1 != 2 }}",
    "{{ 'a' in 'abc' }} {{ 'a' not in 'abc' }} {{ 2 in [1,2] }} {{ 'k' in {'k': 1} }} {{ 'x' in undefined_thing }} {{ 1 in (1,2) }} {{ 'role' in messages[0] }} {{ not 'a' in 'abc' }}",
    "{{ 'a' ~ 1 ~ none ~ true ~ 2.0 ~ undefined_thing ~ [1] }}",
    "{{ 'ab' * 3 }} {{ 2 * 'x' }} {{ [1] * 2 + [3] }} {{ (1,) + (2,) }} {{ 'x' * -1 }}|{{ true + 1 }}",
    "{{ 'yes' if 1 else 'no' }} {{ 'yes' if 0 else 'no' }} {{ 'yes' if 0 }}| {{ 'a' if 0 else 'b' if 0 else 'c' }} {{ ('x' if undefined_thing is defined else 'y') }}",
    "{{ undefined_thing }}|{{ messages[0].nothing }}|{{ messages[99] }}|{{ undefined_thing is undefined }}|{{ undefined_thing | default('d') }}|{{ '' | default('e', true) }}|{{ none | d('n') }}|{{ undefined_thing | length }}",
    "{{ undefined_thing.x }}", "{{ undefined_thing + 1 }}", "{{ undefined_thing['x'] }}", "{{ 'a' + 1 }}", "{{ none + 'a' }}", "{{ messages.foo.bar }}", "{{ [] + 'x' }}",
    "{{ undefined_thing() }}", "{{ 1 | nofilter }}", "{{ 1 is notest }}", "{% nostatement %}", "{{ }}", "{{ 1 + }}", "{% if %}{% endif %}", "{% for x in [1] %}", "{{ 'abc }}", "{{ (1 }}", "{% endif %}", "{{ 1 / 0 }}", "{{ 'a' < 1 }}", "{% set 1 = 2 %}", "{{ none | length }}", "{% for x in none %}{% endfor %}", "{% for x in 5 %}{% endfor %}", "{{ raise_exception('stop') }}", "{% set a, b = [1, 2, 3] %}", "{{ {[1]: 2} }}", "{{ {}.x.y }}", "{% break %}", "{{ [1].append(2) }}", "{{ {'a': 1}.update({}) }}", "{% set messages.x = 1 %}", "{{ 'x'.nothing() }}", "{{ range(1000000) }}", "{{ undefined_thing | tojson }}", "{# never closed", "{{ 1 if }}", "{{ ''.join([1]) }}", "{{ 'a' | int('x', 'y', 'z') }}",
    "{{ 3 is odd }} {{ 4 is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ 'a' is string }} {{ 1 is number }} {{ true is number }} {{ true is integer }} {{ 1 is integer }} {{ 1.0 is float }} {{ 1.0 is integer }} {{ true is boolean }} {{ 1 is boolean }} {{ none is none }} {{ 0 is none }} {{ {} is mapping }} {{ [] is mapping }} {{ [] is sequence }} {{ 'a' is sequence }} {{ {} is sequence }} {{ 1 is sequence }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ none is iterable }} {{ undefined_thing is iterable }} {{ undefined_thing is sequence }}",
    "{{ true is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 3 is gt 2 }} {{ 3 is ge 3 }} {{ 3 is le 2 }} {{ 1 is in [1] }} {{ 'x' is in('xyz') }} {{ 'ABC' is upper }} {{ 'abc' is lower }} {{ 'aBc' is lower }} {{ 1 is not none }} {{ 1 is sameas 1 }} {{ none is sameas none }} {{ range is callable }} {{ 1 is callable }}",
    "{{ '  x '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ 'aBc'|upper }}|{{ 'ABC'|lower }}|{{ 'hello wORLD-foo (bar'|title }}|{{ 'hELLO'|capitalize }}|{{ 'abc'|length }}|{{ 'é😀'|count }}|{{ 5|upper }}",
    "{{ messages[1] | tojson }}|{{ {'b': [1, 2.5, none, true], 'a': {'x': 'é\"\\\\<>&\\''}} | tojson }}|{{ {'b': 1, 'a': []} | tojson(indent=2) }}|{{ [] | tojson(indent=2) }}|{{ 'line\\n\\ttab\\u2028\\x1f\\x7f' | tojson }}|{{ {1: 2, none: 3, true: 4, 2.5: 1} | tojson }}|{{ (1,2) | tojson }}|{{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }}|{{ [1,{'a':2}] | tojson(separators=(',', ':')) }}|{{ 'é😀' | tojson(ensure_ascii=true) }}",
    "{{ tools | tojson(indent=4) }}",
    "{{ [1,2,3]|join(', ') }}|{{ ['a', 1, none]|join }}|{{ messages|join('/', attribute='role') }}|{{ 'abc'|join('-') }}|{{ []|join(',') }}",
    "{{ [3,1,2]|first }}{{ [3,1,2]|last }}{{ 'abc'|first }}{{ 'abc'|last }}{{ []|first }}|{{ messages|map(attribute='role')|list }}|{{ ['a','b']|map('upper')|join }}|{{ messages|map(attribute='x', default='?')|join(',') }}|{{ [' a ', 'b ']|map('trim')|list }}|{{ ['a-b']|map('replace', '-', '+')|list }}",
    "{{ [0,1,'',none,'a']|select|list }}|{{ [1,2,3,4]|select('odd')|list }}|{{ [1,2,3,4]|reject('odd')|list }}|{{ [1,2,3]|select('gt', 1)|list }}|{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list }}|{{ messages|rejectattr('role', 'in', ['user', 'assistant'])|map(attribute='role')|list }}|{{ messages|selectattr('tool_calls')|list|length }}|{{ messages|selectattr('tool_calls', 'defined')|list|length }}",
    "{{ {'b': 1, 'a': 2}|dictsort }}|{{ {'b': 1, 'a': 2}|dictsort(by='value') }}|{{ {'b': 1, 'A': 2}|dictsort(reverse=true) }}|{{ {'b': 1, 'a': 2}|items|list }}|{{ [3,1,2]|sort }}|{{ ['b','A','c']|sort }}|{{ ['b','A','c']|sort(case_sensitive=true) }}|{{ [3,1,2]|sort(reverse=true) }}|{{ messages|sort(attribute='role')|map(attribute='role')|join(',') }}|{{ [1,2,1,'a','A']|unique|list }}",
    "{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb\\n\\nc'|indent(2, true) }}|{{ 'a\\n\\nb'|indent(2, blank=true) }}|{{ 'a\\nb'|indent('> ') }}|{{ 'a\\r\\nb\\n'|indent(1) }}",
    "{{ '42'|int }} {{ '4.7'|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 3.9|int }} {{ '-3'|int }} {{ ' 12 '|int }} {{ '1.5'|float }} {{ 'x'|float }} {{ 2|float }} {{ true|int }} {{ 'ff'|int(base=16) }} {{ -3|abs }} {{ -2.5|abs }} {{ 2.567|round(2) }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.1|round(method='ceil') }} {{ 2.9|round(0, 'floor') }} {{ 7|round }} {{ 1.005|round(2) }}",
    "{{ [1,2]|list }} {{ 'ab'|list }} {{ {'x': 1}|list }} {{ 5|string + 'x' }} {{ [1,2,3]|reverse|list }} {{ 'abc'|reverse }} {{ '<b>'|e }} {{ 'x'|safe }} {{ 'aaa'|replace('a', 'b') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ [1,5,3]|max }} {{ [4,2]|min }} {{ [1,2.5]|sum }} {{ '%s-%03d-%.2f' | format('a', 7, 3.14159) }} {{ '%5s|%-5s|%x' % ('a', 'b', 255) }}",
    "{{ ' x '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}|{{ 'abcba'.rstrip('ab') }}|{{ ' a b  c '.split() }}|{{ 'a,b,,c'.split(',') }}|{{ 'a,b,c'.split(',', 1) }}|{{ 'a,b,c'.rsplit(',', 1) }}|{{ ' a b  c '.rsplit(none, 1) }}|{{ ' a b  c '.split(none, 1) }}|{{ ''.split(',') }}|{{ ''.split() }}|{{ 'a\\nb\\r\\nc\\n'.splitlines() }}",
    "{{ 'abc'.startswith('ab') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.endswith('bc') }} {{ 'aBc'.upper() }} {{ 'aBc'.lower() }} {{ \"they're bill's\".title() }} {{ 'hELLO wORLD'.capitalize() }} {{ 'aaa'.replace('a', 'b', 1) }} {{ 'ab'.replace('', '-') }} {{ 'éabc'.find('b') }} {{ 'abc'.find('z') }} {{ 'abcabc'.rfind('c') }} {{ 'abcabc'.find('a', 1) }} {{ 'abcabc'.index('c') }} {{ 'abcabc'.count('bc') }} {{ ', '.join(['x', 'y']) }} {{ '{} and {1} {name}'.format('a', 'b', name='n') if false else 'skip' }} {{ '{} {} {name} {{}}'.format(1, 'b', name='n') }}",
    "{{ '123'.isdigit() }} {{ ''.isdigit() }} {{ 'abc'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' \\t'.isspace() }} {{ 'AB'.isupper() }} {{ 'ab'.islower() }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }}",
    "{% set d = {'a': 1, 'b': {'c': 2}} %}{{ d.a }} {{ d['b'].c }} {{ d.get('a') }} {{ d.get('z') }} {{ d.get('z', 5) }} {% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {{ d.keys()|list }} {{ d.values()|list }} {{ d|length }} {% for k in d %}{{ k }}{% endfor %} {{ dict(x=1, y=2) }} {{ dict(d, z=3)|length }}",
    "{{ [1,2,3].index(2) }} {{ [1,2,1].count(1) }} {{ range(5)|list }} {{ range(1, 10, 3)|list }} {{ range(5, 0, -2)|list }}",
    "{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }};{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4]] %}{{ a }}-{{ b }} {% endfor %}{% for x in [] %}never{% else %}empty{% endfor %}{% for x in [1,2,3,4] if x is even %}{{ x }}/{{ loop.length }} {% else %}none{% endfor %}{% for c in 'héy' %}{{ c }}.{% endfor %}{% for x in undefined_thing %}{% else %}undef{% endfor %}",
    "{% for x in [1,2,3,4,5] %}{% if x == 2 %}{% continue %}{% elif x == 4 %}{% break %}{% endif %}{{ x }}{% endfor %}|{% for x in [1,2] %}{% for y in [1,2] %}{% if y == 2 %}{% break %}{% endif %}{{ x }}{{ y }}{{ loop.depth }} {% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}{% if true %}{% set x = 9 %}{% endif %}{{ x }}{% set ns = namespace(n=0, l=[]) %}{% for i in [1,2,3] %}{% set ns.n = ns.n + i %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.n }}{{ ns.l }}{{ ns.nothing }}{% set a, b = 1, 'z' %}{{ a }}{{ b }}",
    "{% for i in [1,2,3] %}{% if i == 1 %}{% set seen = 'first' %}{% endif %}{{ seen }},{% endfor %}",
    "{% macro m(a, b='x', c=none) %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(1, c=3) }}{{ m(b=5, a=4) }}{{ m() }}{{ m(1)|upper }}{% set r = m('q') %}{{ r|length }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}", "{% macro m(a) %}{{ outer }}{% endmacro %}{% set outer = 'late' %}{{ m(1) }}{{ m.name }}",
    "{% macro fact(n) %}{{ 1 if n <= 1 else n * fact(n - 1)|int }}{% endmacro %}{{ fact(10) }}",
    "{% macro list_of(items) %}{% for i in items %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(x) list_of([1,2]) %}<{{ x }}>{% endcall %}",
    "{% set t %}\n  block {{ 1 + 1 }}\n{% endset %}[{{ t }}]{% set u | trim | upper %}  xx  {% endset %}[{{ u }}]{% filter upper %}abc{{ 'd' }}{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}",
    "a\n  {% if true %}\n  b\n  {% endif %}\n c {% if true %} d {% endif %}\n e",
    "a \n {%- if true -%} \n b \n {%- endif -%} \n c", "a\n  {%+ if true %}\n b\n {% endif +%}\n c", "x {# note #}\n y\n   {# note #}\n z {#- note -#} w", "  {{ 1 }}\n  {{- 2 }}\n{{ 3 -}}\n  4", "{% raw %}{{ not }} {% this %}{% endraw %}\n x {%- raw -%}  y {{ z }}  {%- endraw -%}  q", "a\r\nb\rc\n", "end\n\n", "{{ '{{' }}{{ '%}' }}{% if '%}' %}x{% endif %}", "{{ {'a': {'b': 1}} }}{{ {'a': {'b': 1}}.a.b }}",
    "\t {% set x = 1 %}\t\n  y{{- ' z ' -}}  w", "{%set x=1%}{{x}}{%-if x%}y{%-endif%}", "{{-1}} {{ -1 }} {{+1}}",
    "{{ (1, 2) }}{{ 1, 2 }}{{ (1) }}{{ () }}{{ [1, 2,] }}{{ {'a': 1,} }}", "{{ messages[0]['role'] }}{{ messages.0.role }}{{ messages[-1].role }}{{ messages|first|attr('role') }}",
    "{{ 'a' if true else undefined_thing.x }}{{ false and undefined_thing.x }}{{ true or undefined_thing.x }}", "{{ not true == false }}{{ (1 + 1) ~ 2 }}{{ 2 ~ 3 * 2 }}{{ -1 | abs }}{{ 'a' ~ 'b' | upper }}{{ ('a' ~ 'b') | upper }}{{ 1 if true else 2 | string }}",
    "{{ strftime_now('%Y') | length }}{{ strftime_now is defined }}", "{{ add_generation_prompt }}{{ bos_token }}{{ eos_token }}{{ enable_thinking is defined }}{{ documents is none }}",
    "{{ {'items': 5}['items'] }} {{ {'x': 1}.items is callable }} {{ {'items': 5}.items is callable }} {{ messages[0].get('role') }} {{ messages[0]['nothing'] is defined }}",
    "{{ 'ÀÉ'|lower }}{{ 'straße'|length }}{{ 'naïve'|upper }}{{ '日本語'[1:] }}{{ '日本語'|reverse }}{{ '\u3000x\u00a0'|trim }}{{ 'ΑΒ'.lower() }}",
    "{{ loop }}{{ loop is defined }}", "{% for i in [1] %}{{ loop is defined }}{% endfor %}{{ loop is defined }}", "{% set x = 5 %}{% macro m() %}{% set x = 6 %}{{ x }}{% endmacro %}{{ m() }}{{ x }}",
    "{% if messages|length > 2 and messages[0].role in ['system', 'developer'] %}{{ messages[0].content|trim }}{% elif x is defined %}no{% else %}else{% endif %}",
    "{{ 10 // 3.0 }} {{ 1.0 * 3 }} {{ 2 ** 0.5 }} {{ 100000000000000000000.0 }} {{ 5 / 2 }} {{ 4 / 2 }} {{ 1e22 }} {{ 1.1e-5 }} {{ -0.0 }} {{ 5 % -3 }} {{ -5 // -3 }} {{ 5.5 // 2 }}",
]
