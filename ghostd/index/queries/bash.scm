; Definitions
(function_definition name: (word) @name.function) @definition
(declaration_command "readonly" (variable_assignment name: (variable_name) @name.constant)) @definition
(declaration_command (variable_assignment name: (variable_name) @name.variable)) @definition
(variable_assignment name: (variable_name) @name.variable) @definition

; References
(command_name (word) @reference)
(variable_name) @reference

; Imports
((command name: (command_name (word) @_source) argument: [(word) (string) (raw_string) (concatenation)] @import.module) @import
  (#any-of? @_source "source" "."))
