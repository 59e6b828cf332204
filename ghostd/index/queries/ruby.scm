; Definitions
(module name: (constant) @name.module) @definition
(module name: (scope_resolution scope: (_) @container name: (constant) @name.module)) @definition
(class name: (constant) @name.class) @definition
(class name: (scope_resolution scope: (_) @container name: (constant) @name.class)) @definition
(method name: [(identifier) (constant) (setter) (operator)] @name.function) @definition
(singleton_method name: [(identifier) (constant) (setter) (operator)] @name.method) @definition
(alias name: [(identifier) (operator)] @name.method) @definition
(assignment left: (constant) @name.constant) @definition
(assignment left: (identifier) @name.variable) @definition
(assignment left: (left_assignment_list (constant) @name.constant)) @definition
(assignment left: (left_assignment_list (identifier) @name.variable)) @definition
(assignment
  left: (constant) @name.class
  right: (call receiver: (constant) @_maker method: (identifier) @_new)
  (#any-of? @_maker "Struct" "Class" "Data" "Module") (#any-of? @_new "new" "define")) @definition
((call !receiver method: (identifier) @_attribute arguments: (argument_list (simple_symbol) @name.property)) @definition
  (#any-of? @_attribute "attr" "attr_accessor" "attr_reader" "attr_writer"))
((call !receiver
  method: (identifier) @_alias
  arguments: (argument_list . [(simple_symbol) @name.method (string (string_content) @name.method)])) @definition
  (#any-of? @_alias "alias_method" "define_method"))
(lambda) @local
(block) @local
(do_block) @local

; References
(identifier) @reference
(constant) @reference

; Imports
((call !receiver method: (identifier) @_require arguments: (argument_list . (string (string_content) @import.module))) @import
  (#any-of? @_require "require" "require_relative" "load"))
